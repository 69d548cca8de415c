// The widths of a head that the prefill kernels are compiled for. No Torch, no CUDA.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace nsa::core::cuda {

struct HeadWidths {
    int dk = 0;
    int dv = 0;

    bool operator==(const HeadWidths&) const = default;
};

inline constexpr std::array<HeadWidths, 5> kHeadWidths{
    {{32, 32}, {64, 64}, {96, 96}, {128, 128}, {192, 128}}};

/// The narrowest of them that hold a head of dk and dv: behind its own columns it then has columns of zeros,
/// which change neither scores nor gradients.
[[nodiscard]] constexpr std::optional<HeadWidths> widths_holding(std::int64_t dk, std::int64_t dv) {
    for (const HeadWidths& widths : kHeadWidths) {
        if (dk >= 1 && dv >= 1 && dk <= widths.dk && dv <= widths.dv) return widths;
    }
    return std::nullopt;
}

}  // namespace nsa::core::cuda
