#include "nsa_core/tools/samples.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace nsa::core::tools {
namespace {

double quantile(const std::vector<double>& sorted, double fraction) {
    const double position = fraction * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(std::floor(position));
    const std::size_t above = std::min(below + 1, sorted.size() - 1);
    return std::lerp(sorted[below], sorted[above], position - std::floor(position));
}

}  // namespace

Spread spread_of(std::vector<double> samples) {
    if (samples.empty()) throw std::invalid_argument{"no samples to summarise"};
    std::sort(samples.begin(), samples.end());
    return {.median = quantile(samples, 0.5),
            .iqr = quantile(samples, 0.75) - quantile(samples, 0.25),
            .min = samples.front(),
            .max = samples.back()};
}

}  // namespace nsa::core::tools
