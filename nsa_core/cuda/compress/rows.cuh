// Where the rows of a product lie: compressed tokens of all sequences, counted one behind the other.
#pragma once

#include "nsa_core/cuda/compress/params.hpp"
#include "nsa_core/cuda/divisor.hpp"
#include "nsa_core/cuda/prefill/work.cuh"

namespace nsa::core::cuda {

/// How rows are counted, by divisions that are prepared on the host.
struct RowCount {
    Divisor groups;
    Divisor compressed;  // tokens of each sequence, where they are not packed
};

/// A compressed token of a sequence, of one group.
struct RowPlace {
    int sequence;
    int token;
    int group;
};

/// Finds rows that are asked for in ascending order.
class RowWalk {
  public:
    __device__ RowWalk(const Sequences& sequences, int batch, const RowCount& count)
        : count_{count}, cu_{sequences.cu_compressed}, batch_{batch} {}

    /// Rows of all sequences together.
    [[nodiscard]] __device__ static int rows(const Sequences& s, const PrefillShape& shape) {
        const int tokens = s.cu_compressed == nullptr ? shape.batch * s.max_compressed
                                                      : s.cu_compressed[shape.batch] - s.cu_compressed[0];
        return tokens * shape.groups;
    }

    [[nodiscard]] __device__ __forceinline__ RowPlace at(int row) {
        const int token = count_.groups.quotient(row);
        const int group = row - token * static_cast<int>(count_.groups.divisor);
        if (cu_ == nullptr) {
            const int sequence = count_.compressed.quotient(token);
            return {sequence, token - sequence * static_cast<int>(count_.compressed.divisor), group};
        }
        const int packed = cu_[0] + token;
        if (sequence_ < 0) sequence_ = search(packed);
        while (cu_[sequence_ + 1] <= packed)
            ++sequence_;
        return {sequence_, packed - cu_[sequence_], group};
    }

  private:
    // The last sequence that begins at `packed` or before.
    [[nodiscard]] __device__ int search(int packed) const {
        int low = 0;
        int high = batch_ - 1;
        while (low < high) {
            const int middle = (low + high + 1) / 2;
            if (cu_[middle] <= packed)
                low = middle;
            else
                high = middle - 1;
        }
        return low;
    }

    RowCount count_;
    const int* cu_;
    int batch_;
    int sequence_ = -1;
};

/// The first of the l tokens that a compressed one is made of.
template <class T>
__device__ __forceinline__ const T* block_of(const ConstRows& rows, const Sequences& sequences, int d,
                                             const RowPlace& at) {
    const Sequence tokens = tokens_of(sequences, at.sequence);
    return first_row<T>(rows, tokens, at.group, sequences.cu_tokens != nullptr) +
           static_cast<std::int64_t>(at.token) * d * rows.token;
}

/// The compressed token's own row.
template <class T, class AnyRows>
__device__ __forceinline__ auto compressed_row(const AnyRows& rows, const Sequences& sequences,
                                               const RowPlace& at) {
    const Sequence tokens = compressed_rows_of(sequences, at.sequence);
    return first_row<T>(rows, tokens, at.group, sequences.cu_tokens != nullptr) + at.token * rows.token;
}

}  // namespace nsa::core::cuda
