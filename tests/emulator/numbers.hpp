// 16-bit floats of either kind, from their bits.
#pragma once

#include <cuda_fp16.h>

#include <bit>
#include <cstdint>
#include <vector>

namespace nsa::emulator {

[[nodiscard]] inline float bf16_to_float(std::uint16_t bits) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}
[[nodiscard]] inline float fp16_to_float(std::uint16_t bits) {
    static const std::vector<float> values = [] {
        std::vector<float> all(65536);
        for (std::uint32_t i = 0; i < all.size(); ++i)
            all[i] = __half2float(__ushort_as_half(static_cast<unsigned short>(i)));
        return all;
    }();
    return values[bits];
}
[[nodiscard]] inline float to_float(bool half, std::uint16_t bits) {
    return half ? fp16_to_float(bits) : bf16_to_float(bits);
}

}  // namespace nsa::emulator
