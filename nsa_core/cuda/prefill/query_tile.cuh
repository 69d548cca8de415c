// The query tile of a thread block: its tokens, the keys that they see, and the masks where not all see the
// same.
#pragma once

#include <cmath>

#include "nsa_core/cuda/prefill/interval.hpp"
#include "nsa_core/cuda/prefill/work.cuh"
#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {

inline constexpr int kDenseWarps = 4;
inline constexpr int kDenseThreads = kDenseWarps * kWarpSize;

/// Hides keys outside their row's interval. Key of c[m][n][i]: `first_key` + 8 n + 2 (lane % 4) + i % 2.
template <int kM, int kN, class IntervalOf>
__device__ __forceinline__ void hide_keys(float (&s)[kM][kN][4], int first_key, IntervalOf interval_of_row) {
    const int lane = lane_index();
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const Interval seen = interval_of_row(16 * m + 8 * half + lane / 4);
#pragma unroll
            for (int n = 0; n < kN; ++n)
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    const int key = first_key + 8 * n + lane % 4 * 2 + i;
                    if (key < seen.first || key >= seen.last) s[m][n][2 * half + i] = -INFINITY;
                }
        }
}

/// The same, where only one end of the intervals lies among the keys: half of the comparisons. `kBefore`: the
/// first ends, else the last ones.
template <bool kBefore, int kN, class IntervalOf>
__device__ __forceinline__ void hide_keys_at_end(float (&s)[kN][4], int first_key,
                                                 IntervalOf interval_of_row) {
    const int lane = lane_index();
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const Interval seen = interval_of_row(8 * half + lane / 4);
        const int end = (kBefore ? seen.first : seen.last) - first_key - lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < kN; ++n)
#pragma unroll
            for (int i = 0; i < 2; ++i)
                if (kBefore == (8 * n + i < end)) s[n][2 * half + i] = -INFINITY;
    }
}

// The tokens of a query tile and the keys that they see.
struct QueryTile {
    int group;
    int first_token;
    int last_token;   // of the tile and in the sequence
    Interval keys;    // that any token sees
    Interval common;  // that all tokens see

    [[nodiscard]] __device__ bool whole(int first_key, int count) const {
        return first_key >= common.first && first_key + count <= common.last;
    }
};

/// Tile `tile` of `tile_tokens` tokens, of a sequence of `tokens`. Behind its end: first_token > last_token.
__device__ __forceinline__ QueryTile query_tile_at(int tile, int group, int tile_tokens, int tokens,
                                                   const KeyInterval& interval) {
    const int first = tile * tile_tokens;
    const int last = min(first + tile_tokens, tokens) - 1;
    if (first > last) return {group, first, last, {}, {}};
    const Interval oldest = interval.of(first);
    const Interval latest = interval.of(last);
    return {group, first, last, {oldest.first, latest.last}, {latest.first, oldest.last}};
}

// Block x is a tile and a group; the tiles with most keys first, all groups of one beside each other.
__device__ __forceinline__ QueryTile query_tile(int groups, int tile_tokens, int tokens,
                                                const KeyInterval& interval) {
    const unsigned block = gridDim.x - 1 - blockIdx.x;
    return query_tile_at(static_cast<int>(block / static_cast<unsigned>(groups)),
                         static_cast<int>(block % static_cast<unsigned>(groups)), tile_tokens, tokens,
                         interval);
}

}  // namespace nsa::core::cuda
