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

MedianInterval median_interval(std::vector<double> samples) {
    if (samples.empty()) throw std::invalid_argument{"no samples to summarise"};
    std::sort(samples.begin(), samples.end());
    // The number of samples below the true median is binomial(n, 1/2), here by its normal limit.
    constexpr double kNormal95 = 1.959964;
    const auto count = static_cast<double>(samples.size());
    const double reach = kNormal95 * std::sqrt(count) / 2;
    const double below = std::max(std::floor(count / 2 - reach), 1.0);  // rank from 1
    const double above = std::min(std::ceil(count / 2 + reach) + 1, count);
    return {.median = quantile(samples, 0.5),
            .low = samples[static_cast<std::size_t>(below) - 1],
            .high = samples[static_cast<std::size_t>(above) - 1]};
}

}  // namespace nsa::core::tools
