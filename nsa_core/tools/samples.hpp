// Order statistics of raw samples. Times are skewed by whatever else the host does, so the summary of a
// benchmark is the median with the interquartile range, never a mean alone.
#pragma once

#include <vector>

namespace nsa::core::tools {

struct Spread {
    double median = 0;
    double iqr = 0;  // third quartile minus first
    double min = 0;
    double max = 0;
};

// Quartiles interpolate between neighbours (the definition of NumPy's default). Throws std::invalid_argument
// when there are no samples.
[[nodiscard]] Spread spread_of(std::vector<double> samples);

// The median and where it lies with 95 % confidence, by order statistics: no assumption on how times are
// distributed, only that samples are independent. Of few samples the interval is all of them.
struct MedianInterval {
    double median = 0;
    double low = 0;
    double high = 0;
};
[[nodiscard]] MedianInterval median_interval(std::vector<double> samples);

}  // namespace nsa::core::tools
