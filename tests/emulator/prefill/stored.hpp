// Arrays as the kernels get them: rounded to 16 bits, in a layout, guarded.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "emulator/global_memory.hpp"
#include "emulator/prefill/selection_oracle.hpp"
#include "nsa_core/cuda/primitives.cuh"

namespace nsa::prefill_test {

enum class Layout {
    kTokenMajor,  // [tokens, heads, width], with room behind each token
    kHeadMajor,   // [batch, heads, tokens, width]
};

/// `T` nearest to x.
template <class T>
double rounded(double x) {
    return core::cuda::Half<T>::to_float(core::cuda::Half<T>::from_float(static_cast<float>(x)));
}

/// Rows of tokens, or of compressed tokens, of a batch of sequences of `length` rows, or packed ones.
template <class T>
class Stored {
  public:
    Stored(std::size_t rows, std::size_t heads, std::size_t width, Layout layout, const Batch& batch)
        : rows_{rows},
          heads_{heads},
          width_{width},
          length_{batch.packed ? rows : rows / batch.lengths.size()},
          layout_{layout},
          data_{layout == Layout::kTokenMajor ? rows * (heads * width + kRoom) : rows * heads * width} {}
    Stored(const Array& values, Layout layout, const Batch& batch)
        : Stored{values.rows, values.heads, values.width, layout, batch} {
        for (std::size_t row = 0; row < rows_; ++row)
            for (std::size_t head = 0; head < heads_; ++head)
                for (std::size_t i = 0; i < width_; ++i)
                    data_[offset(row, head) + i] =
                        core::cuda::Half<T>::from_float(static_cast<float>(values.at(row, head)[i]));
    }

    [[nodiscard]] core::cuda::Rows rows() {
        const auto stride = [](std::size_t x) { return static_cast<std::int64_t>(x); };
        if (layout_ == Layout::kTokenMajor) {
            const std::size_t token = heads_ * width_ + kRoom;
            return {data_.data(), stride(length_ * token), stride(width_), stride(token)};
        }
        return {data_.data(), stride(heads_ * length_ * width_), stride(length_ * width_), stride(width_)};
    }
    [[nodiscard]] Array values() {
        Array values{rows_, heads_, width_};
        for (std::size_t row = 0; row < rows_; ++row)
            for (std::size_t head = 0; head < heads_; ++head)
                for (std::size_t i = 0; i < width_; ++i)
                    values.at(row, head)[i] = core::cuda::Half<T>::to_float(data_[offset(row, head) + i]);
        return values;
    }
    /// Nothing was written beside the rows.
    [[nodiscard]] bool intact() {
        if (!data_.intact()) return false;
        if (layout_ == Layout::kHeadMajor) return true;
        for (std::size_t row = 0; row < rows_; ++row)
            for (std::size_t i = 0; i < kRoom; ++i)
                if (!std::isnan(core::cuda::Half<T>::to_float(
                        data_[row * (heads_ * width_ + kRoom) + heads_ * width_ + i])))
                    return false;
        return true;
    }

  private:
    static constexpr std::size_t kRoom = 8;
    [[nodiscard]] std::size_t offset(std::size_t row, std::size_t head) const {
        if (layout_ == Layout::kTokenMajor) return row * (heads_ * width_ + kRoom) + head * width_;
        return ((row / length_ * heads_ + head) * length_ + row % length_) * width_;
    }

    std::size_t rows_, heads_, width_, length_;
    Layout layout_;
    emulator::Buffer<T> data_;
};

/// Numbers in [-1, 1], alike for every run.
class Numbers {
  public:
    explicit Numbers(std::uint64_t seed) : state_{seed * 0x9E3779B97F4A7C15U + 1} {}
    double operator()() {
        state_ = state_ * 6364136223846793005U + 1442695040888963407U;
        return static_cast<double>(state_ >> 11) / static_cast<double>(1ULL << 52) - 1.0;
    }
    int below(int limit) { return static_cast<int>((*this)() * 0.5 * limit + 0.5 * limit) % limit; }

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
