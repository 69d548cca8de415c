// How memory grows with the length of a sequence: bytes = c S^e. Pure.
#pragma once

#include <cstdint>
#include <span>

namespace nsa::core::bench {

struct MemoryPoint {
    std::int64_t seq = 0;
    std::int64_t bytes = 0;
};

struct MemoryFit {
    double exponent = 0;  // slope of log bytes over log S, least squares over all points
    double exponent_last =
        0;  // between the two longest: what the growth tends to, once constants no longer count
};

// Throws std::invalid_argument for fewer than two different lengths, or a point without bytes.
[[nodiscard]] MemoryFit fit_memory(std::span<const MemoryPoint> points);

}  // namespace nsa::core::bench
