// Division by a number that is known before a launch, as a multiplication: an integer division costs a kernel
// some 25 instructions, and one stands in every look-up of a page.
#pragma once

#include <cstdint>

namespace nsa::core::cuda {

/// Exact for dividends in [0, 2^31).
struct Divisor {
    std::uint32_t divisor = 1;
    std::uint32_t multiplier = 0x80000000U;  // ceil(2^shift / divisor), in [2^31, 2^32)
    std::uint32_t shift = 31;

    [[nodiscard]] constexpr int quotient(int dividend) const {
        return static_cast<int>(
            (static_cast<std::uint64_t>(static_cast<std::uint32_t>(dividend)) * multiplier) >> shift);
    }
    [[nodiscard]] constexpr int remainder(int dividend) const {
        return dividend - quotient(dividend) * static_cast<int>(divisor);
    }
};

/// `divisor` from 1 to 2^30. Granlund and Montgomery, "Division by invariant integers using multiplication",
/// 1994.
[[nodiscard]] constexpr Divisor make_divisor(int divisor) {
    std::uint32_t bits = 0;  // ceil(log2(divisor))
    while ((1U << bits) < static_cast<std::uint32_t>(divisor))
        ++bits;
    const auto d = static_cast<std::uint64_t>(divisor);
    // A power of two would need 2^31 exactly; ceil gives it.
    return {.divisor = static_cast<std::uint32_t>(divisor),
            .multiplier = static_cast<std::uint32_t>(((std::uint64_t{1} << (31 + bits)) + d - 1) / d),
            .shift = 31 + bits};
}

}  // namespace nsa::core::cuda
