// A tensor of rows for the emulator: NaN where nothing was put, guarded, in the layout that a case asks for.
#pragma once

#include <cmath>

#include "emulator/global_memory.hpp"
#include "emulator/prefill/oracle.hpp"
#include "nsa_core/cuda/prefill/params.hpp"
#include "nsa_core/cuda/primitives.cuh"

namespace nsa::prefill_test {

/// How rows of all sequences, one behind the other, lie in memory.
struct RowOrder {
    std::size_t gap = 0;     // packed: rows before the first sequence, and behind the last
    std::size_t length = 0;  // not packed: of each sequence
    bool head_major = false;
};

template <class T>
class RowsBuffer {
  public:
    RowsBuffer(std::size_t rows, std::size_t heads, std::size_t width, const RowOrder& order)
        : rows_{rows},
          heads_{heads},
          width_{width},
          order_{order},
          memory_{(rows + 2 * order.gap) * heads * width} {}
    RowsBuffer(const Array& a, const RowOrder& order) : RowsBuffer{a.rows, a.heads, a.width, order} {
        for (std::size_t row = 0; row < rows_; ++row)
            for (std::size_t head = 0; head < heads_; ++head)
                for (std::size_t i = 0; i < width_; ++i)
                    memory_[place(row, head) + i] =
                        core::cuda::Half<T>::from_float(static_cast<float>(a.at(row, head)[i]));
    }

    [[nodiscard]] core::cuda::Rows rows() {
        const auto width = static_cast<std::int64_t>(width_);
        const auto length = static_cast<std::int64_t>(order_.length);
        const auto heads = static_cast<std::int64_t>(heads_);
        if (order_.head_major) return {memory_.data(), heads * length * width, length * width, width};
        return {memory_.data(), length * heads * width, width, heads * width};
    }
    [[nodiscard]] Array values() {
        Array a{rows_, heads_, width_};
        for (std::size_t row = 0; row < rows_; ++row)
            for (std::size_t head = 0; head < heads_; ++head)
                for (std::size_t i = 0; i < width_; ++i)
                    a.at(row, head)[i] = core::cuda::Half<T>::to_float(memory_[place(row, head) + i]);
        return a;
    }
    [[nodiscard]] std::vector<std::uint16_t> bits() {
        const auto* first = reinterpret_cast<const std::uint16_t*>(memory_.data());
        return {first, first + memory_.size()};
    }
    /// Nothing was written around the rows.
    [[nodiscard]] bool intact() {
        const std::size_t edge = order_.gap * heads_ * width_;
        for (std::size_t i = 0; i < edge; ++i)
            if (!std::isnan(core::cuda::Half<T>::to_float(memory_[i])) ||
                !std::isnan(core::cuda::Half<T>::to_float(memory_[memory_.size() - 1 - i])))
                return false;
        return memory_.intact();
    }

  private:
    [[nodiscard]] std::size_t place(std::size_t row, std::size_t head) const {
        if (!order_.head_major) return ((row + order_.gap) * heads_ + head) * width_;
        return ((row / order_.length * heads_ + head) * order_.length + row % order_.length) * width_;
    }

    std::size_t rows_, heads_, width_;
    RowOrder order_;
    emulator::Buffer<T> memory_;
};

}  // namespace nsa::prefill_test
