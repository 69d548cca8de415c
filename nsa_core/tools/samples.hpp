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

}  // namespace nsa::core::tools
