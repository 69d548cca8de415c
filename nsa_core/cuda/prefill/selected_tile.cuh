// The tokens that share a thread block, and one token's heads as the rows of a matrix tile: 16 of them, of
// which missing heads are zero rows that nobody reads back.
#pragma once

#include "nsa_core/cuda/prefill/selected_plan.hpp"
#include "nsa_core/cuda/prefill/tile.cuh"
#include "nsa_core/cuda/prefill/work.cuh"

namespace nsa::core::cuda {

/// Adjacent tokens of one group.
struct TokenTile {
    Sequence sequence;
    bool packed;
    int group;
    int heads;   // of the group
    int first;   // token
    int tokens;  // at most

    [[nodiscard]] __device__ bool empty() const { return first >= sequence.length; }
    [[nodiscard]] __device__ int last() const { return min(first + tokens, sequence.length) - 1; }
    /// Of contiguous tensors with a row per token.
    [[nodiscard]] __device__ std::int64_t row(int token) const { return sequence.first + token; }
};

/// Grid: x = (group, tile), the tile fastest, so that the keys and values that run together are those of one
/// group and stay in the L2; the last tiles first, for they see most. y = sequence.
__device__ __forceinline__ TokenTile token_tile(const Sequences& sequences, const PrefillShape& shape,
                                                int tokens = kTileTokens) {
    const unsigned tiles = gridDim.x / static_cast<unsigned>(shape.groups);
    const unsigned at = gridDim.x - 1 - blockIdx.x;
    return {tokens_of(sequences, static_cast<int>(blockIdx.y)),
            sequences.cu_tokens != nullptr,
            static_cast<int>(at / tiles),
            shape.heads_per_group(),
            static_cast<int>(at % tiles) * tokens,
            tokens};
}

/// The token of this warp. Warps behind the end of the sequence go along with its last token and write
/// nothing.
struct WarpToken {
    int token;
    bool exists;
};
__device__ __forceinline__ WarpToken warp_token(const TokenTile& tile) {
    const int token = tile.first + warp_index();
    return {min(token, tile.last()), token <= tile.last()};
}

/// A token's row of the group's first head, and the way to the next head.
template <class T>
struct HeadRows {
    T* first;
    std::int64_t stride;
    int heads;
};
template <class T, class AnyRows>
__device__ __forceinline__ auto head_rows(const AnyRows& rows, const TokenTile& tile, int token) {
    auto* first =
        first_row<T>(rows, tile.sequence, tile.group * tile.heads, tile.packed) + token * rows.token;
    return HeadRows<std::remove_pointer_t<decltype(first)>>{first, rows.head, tile.heads};
}

/// From memory to registers, without a detour: 16 rows that one warp reads. row_of(r) is the row's first
/// element, or null: zeros.
template <int kWidth, class RowOf>
__device__ __forceinline__ void load_rows(HeldBlocks<kWidth, 1>& blocks, RowOf row_of) {
    const int lane = lane_index();
    const decltype(row_of(0)) rows[2] = {row_of(lane / 4), row_of(lane / 4 + 8)};
    const auto pair = [&](int half, int column) {
        return rows[half] != nullptr ? *reinterpret_cast<const std::uint32_t*>(rows[half] + column) : 0U;
    };
#pragma unroll
    for (int step = 0; step < kWidth / 16; ++step) {
        const int column = step * 16 + lane % 4 * 2;
        blocks.a[step][0][0] = pair(0, column);
        blocks.a[step][0][1] = pair(1, column);
        blocks.a[step][0][2] = pair(0, column + 8);
        blocks.a[step][0][3] = pair(1, column + 8);
    }
}
template <int kWidth, class T>
__device__ __forceinline__ void load_heads(HeldBlocks<kWidth, 1>& blocks, const HeadRows<T>& rows) {
    load_rows<kWidth>(
        blocks, [&](int head) { return head < rows.heads ? rows.first + head * rows.stride : nullptr; });
}

/// The same by way of 16 rows of shared memory of the warp, where they stay. The lanes meet inside.
template <int kWidth, class T>
__device__ __forceinline__ LaneBlocks<kWidth> copy_heads(char* shared, const HeadRows<const T>& rows) {
    const std::uint32_t tile = shared_address(shared);
    copy_rows<T, 16, kWidth, kWarpSize>(tile, lane_index(), [&](int head) -> const T* {
        return head < rows.heads ? rows.first + head * rows.stride : nullptr;
    });
    commit_copies();
    wait_copies<0>();
    __syncwarp();
    return left_blocks<kWidth>(tile);
}

/// The lane's two heads: what(head) for those that exist, `missing` for the others.
template <class What>
__device__ __forceinline__ void for_heads(float (&x)[2], int heads, float missing, What what) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const int head = lane_index() / 4 + half * 8;
        x[half] = head < heads ? what(head) : missing;
    }
}

}  // namespace nsa::core::cuda
