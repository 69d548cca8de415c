// Records of a case sorted into rows: metric -> label set -> raw samples. Private to the judge; series.cpp
// also holds median and quantile, which judge.hpp declares for everybody.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "language/record.hpp"

namespace nsa::language {

// The samples of one row in order of their index. An index that appears twice (appended by a retried step) is
// kept twice: nothing is measured away.
struct Series {
    std::string unit;
    std::vector<std::pair<int, double>> samples;

    std::vector<double> values() const;
};

using Rows = std::map<Labels, Series>;

class Observations {
  public:
    explicit Observations(std::span<const Record> records);

    const Rows& rows_of(std::string_view metric) const;  // empty when the metric was never measured
    std::span<const Fact> facts() const { return facts_; }
    std::span<const Skip> skips() const { return skips_; }

  private:
    std::map<std::string, Rows, std::less<>> metrics_;
    std::vector<Fact> facts_;
    std::vector<Skip> skips_;
};

// Mean; NaN for no values.
double mean(std::span<const double> values);

}  // namespace nsa::language
