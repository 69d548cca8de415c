#include "nsa_core/bench/memory_fit.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

namespace nsa::core::bench {

MemoryFit fit_memory(std::span<const MemoryPoint> given) {
    std::vector<MemoryPoint> points{given.begin(), given.end()};
    std::sort(points.begin(), points.end(), [](const auto& a, const auto& b) { return a.seq < b.seq; });
    const bool usable =
        std::all_of(points.begin(), points.end(), [](const auto& p) { return p.seq > 0 && p.bytes > 0; });
    if (points.size() < 2 || !usable || points.front().seq == points.back().seq) {
        throw std::invalid_argument{"memory over fewer than two lengths, or none of it"};
    }
    const auto x = [](const MemoryPoint& p) { return std::log(static_cast<double>(p.seq)); };
    const auto y = [](const MemoryPoint& p) { return std::log(static_cast<double>(p.bytes)); };
    double mean_x = 0;
    double mean_y = 0;
    for (const MemoryPoint& point : points) {
        mean_x += x(point) / static_cast<double>(points.size());
        mean_y += y(point) / static_cast<double>(points.size());
    }
    double covariance = 0;
    double variance = 0;
    for (const MemoryPoint& point : points) {
        covariance += (x(point) - mean_x) * (y(point) - mean_y);
        variance += (x(point) - mean_x) * (x(point) - mean_x);
    }
    const MemoryPoint& last = points.back();
    const MemoryPoint& before =
        *std::find_if(points.rbegin(), points.rend(), [&](const auto& p) { return p.seq != last.seq; });
    return {.exponent = covariance / variance,
            .exponent_last = (y(last) - y(before)) / (x(last) - x(before))};
}

}  // namespace nsa::core::bench
