// What a thread block finds its rows by: the sequence, and the rows of a query tile.
//
// Row r of a query tile is token r / (H/G) of the tile and head r % (H/G) of the group: keys and values of a
// group are read once for all its heads, and fewer than 16 heads put several tokens into a matrix tile, each
// row with a token of its own, without padding.
#pragma once

#include <cstdint>
#include <type_traits>

#include "nsa_core/cuda/prefill/params.hpp"

namespace nsa::core::cuda {

/// One sequence of the batch, for tensors that have a row per token or per compressed row.
struct Sequence {
    int index;            // in the batch
    int length;           // rows
    std::int64_t packed;  // rows of packed tensors before it; 0 without cu
    std::int64_t first;   // rows of contiguous tensors before it, packed or not
};

__device__ __forceinline__ Sequence sequence_of(int index, const int* cu, int max_rows) {
    if (cu == nullptr) return {index, max_rows, 0, static_cast<std::int64_t>(index) * max_rows};
    const int first = cu[index];
    return {index, cu[index + 1] - first, first, first};
}
__device__ __forceinline__ Sequence tokens_of(const Sequences& all, int index) {
    return sequence_of(index, all.cu_tokens, all.max_tokens);
}
__device__ __forceinline__ Sequence compressed_rows_of(const Sequences& all, int index) {
    return sequence_of(index, all.cu_compressed, all.max_compressed);
}

/// Row 0 of a sequence and head; its row t is `token` elements times t further on. For Rows and ConstRows.
template <class T, class AnyRows>
__device__ __forceinline__ auto first_row(const AnyRows& rows, const Sequence& sequence, int head,
                                          bool packed) {
    const std::int64_t before = packed ? sequence.packed * rows.token : sequence.index * rows.batch;
    using Element = std::conditional_t<std::is_same_v<AnyRows, Rows>, T, const T>;
    return static_cast<Element*>(rows.data) + before + head * rows.head;
}

/// The heads of a group, a power of two, as a shift.
struct GroupHeads {
    int log2;

    [[nodiscard]] __device__ __forceinline__ int heads() const { return 1 << log2; }
    [[nodiscard]] __device__ __forceinline__ int token(int row) const { return row >> log2; }
    [[nodiscard]] __device__ __forceinline__ int head(int row) const { return row & ((1 << log2) - 1); }
};

}  // namespace nsa::core::cuda
