// The keys that a query of a dense branch sees, and the queries that see a key: both intervals, whose ends
// move on with the token.
#pragma once

#include <cstdint>

#include "nsa_core/cuda/divisor.hpp"
#include "nsa_core/cuda/prefill/params.hpp"

namespace nsa::core::cuda {

/// Half open.
struct Interval {
    int first = 0;
    int last = 0;
};

/// One rule for both branches: key i covers tokens [i d, i d + l) and is seen once the last of them is there;
/// of those, the latest w.
struct KeyInterval {
    int w = 1;
    int l = 1;
    Divisor d;

    [[nodiscard]] constexpr Interval of(int t) const {
        // A case, for dividing a negative number would truncate to a key too many.
        const int last = t + 1 < l ? 0 : d.quotient(t + 1 - l) + 1;
        return {last > w ? last - w : 0, last};
    }
    /// The tokens, of the first `tokens`, that see any of keys [first, last).
    [[nodiscard]] constexpr Interval tokens_seeing(int first, int last, int tokens) const {
        const auto bounded = [tokens](std::int64_t t) { return static_cast<int>(t < tokens ? t : tokens); };
        const auto stride = static_cast<std::int64_t>(d.divisor);
        // Key last - 1 leaves the sight of tokens when w more keys have come.
        return {bounded(first * stride + l - 1), bounded((std::int64_t{last} - 1 + w) * stride + l - 1)};
    }
};

inline constexpr int kEndless = 1 << 30;  // a window that no sequence fills

[[nodiscard]] constexpr KeyInterval key_interval(const PrefillShape& shape, DenseBranch branch) {
    if (branch == DenseBranch::kWindow) return {.w = shape.w, .l = 1, .d = make_divisor(1)};
    return {.w = kEndless, .l = shape.l, .d = make_divisor(shape.d)};
}

}  // namespace nsa::core::cuda
