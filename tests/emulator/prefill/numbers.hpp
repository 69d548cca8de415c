// Numbers for cases, and what to compare results by.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "emulator/prefill/rows_buffer.hpp"
#include "emulator/prefill/selection_oracle.hpp"

namespace nsa::prefill_test {

/// `T` nearest to x.
template <class T>
double rounded(double x) {
    return core::cuda::Half<T>::to_float(core::cuda::Half<T>::from_float(static_cast<float>(x)));
}

/// In [-1, 1), alike for every run.
class Numbers {
  public:
    explicit Numbers(std::uint64_t seed) : state_{seed * 0x9E3779B97F4A7C15U + 1} {}
    double operator()() {
        state_ = state_ * 6364136223846793005U + 1442695040888963407U;
        return static_cast<double>(state_ >> 11) / static_cast<double>(1ULL << 52) - 1.0;
    }
    int below(int limit) { return std::min(static_cast<int>(((*this)() + 1) * 0.5 * limit), limit - 1); }

  private:
    std::uint64_t state_;
};

/// Rounded to T at once, so that the oracle and the kernel have the same numbers.
template <class T>
Array random_array(std::size_t rows, std::size_t heads, std::size_t width, double size, Numbers& numbers) {
    Array values{rows, heads, width};
    for (double& x : values.values)
        x = rounded<T>(size * numbers());
    return values;
}

/// Rows of a batch's tokens, or of its compressed tokens.
inline RowOrder order_of(const Batch& batch, std::size_t rows, bool head_major) {
    return {.gap = 0, .length = batch.packed ? rows : rows / batch.lengths.size(), .head_major = head_major};
}

/// The largest difference; infinite when a value is NaN where the other is not.
inline double largest_error(const std::vector<double>& got, const std::vector<double>& truth) {
    double error = 0;
    for (std::size_t i = 0; i < truth.size(); ++i) {
        if (got[i] == truth[i]) continue;  // infinities
        const double difference = std::abs(got[i] - truth[i]);
        error =
            std::max(error, std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference);
    }
    return error;
}
inline double largest(const std::vector<double>& values) {
    double most = 0;
    for (const double x : values)
        if (std::isfinite(x)) most = std::max(most, std::abs(x));
    return most;
}

}  // namespace nsa::prefill_test
