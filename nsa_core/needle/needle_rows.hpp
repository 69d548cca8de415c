// From single needles to the rows of the table. Free of Torch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nsa_core/tools/csv.hpp"
#include "nsa_core/tools/output.hpp"

namespace nsa::core::needle {

/// What one query made of one planted token. Groups choose blocks, heads attend.
struct Trial {
    std::vector<bool> hits;            // by group: its blocks hold the needle's
    std::vector<bool> chance_hits;     // the same of the same query without the needle
    std::vector<double> value_errors;  // by head: |output - needle's value| / |needle's value|
};

struct Row {
    std::int64_t seq = 0;
    std::int64_t depth = 0;     // percent of the context before the needle
    std::int64_t position = 0;  // of the needle
    std::int64_t block = 0;     // that holds it
    bool forced = false;        // the block is among the initial or local ones, so selection had no choice
    std::vector<Trial> trials = {};

    [[nodiscard]] double hit_rate() const;         // of groups
    [[nodiscard]] double chance_hit_rate() const;  // of groups
    /// Share of heads whose output is the needle's value up to `tolerance`. An error that is NaN is a miss.
    [[nodiscard]] double accuracy(double tolerance) const;
    [[nodiscard]] double worst_error(const Trial& trial) const;  // of its heads; NaN when one is
};

/// Token at `depth` percent of a context of `seq` tokens: 0 the first one, 100 the query's own.
[[nodiscard]] std::int64_t position_at(std::int64_t depth, std::int64_t seq);

// Writes results.jsonl, needle.csv and a line on stdout for each row.
class Report {
  public:
    Report(tools::Output& output, double tolerance);
    void add(const Row& row);

  private:
    tools::Output& output_;
    double tolerance_;
    tools::CsvWriter csv_;
};

}  // namespace nsa::core::needle
