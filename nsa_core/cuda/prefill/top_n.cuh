// The selected blocks of one token, by one warp: forced blocks first, then the most important of the rest,
// each time the largest, ties to the lower index (Eqs. 11 and 12). The same result in whatever order warps
// run.
#pragma once

#include <cstdint>

#include "nsa_core/cuda/prefill/params.hpp"
#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {

inline constexpr int kNoRank = -1;  // below every block
inline constexpr float kTaken = -1.0F;

/// Importance is never negative, so its bits order like the number; a NaN counts as 0, and a block that was
/// taken is below all.
__device__ __forceinline__ int rank_of(float importance) {
    return isnan(importance) ? 0 : max(__float_as_int(importance), kNoRank);
}

struct Ranked {
    int rank;
    int block;
};

/// What a lane knows of the blocks that are congruent to it modulo 32: the three best, which are forgotten as
/// they are taken. Few lanes give away three, and the others look at their blocks once.
struct LaneBest {
    static constexpr int kKept = 3;
    Ranked kept[kKept];  // the best first

    __device__ __forceinline__ void scan(const float* importance, int begin, int end) {
        for (Ranked& rank : kept)
            rank = {kNoRank, end};
#pragma unroll 4
        for (int block = begin + (lane_index() - begin % kWarpSize + kWarpSize) % kWarpSize; block < end;
             block += kWarpSize)
            insert({rank_of(importance[block]), block});
    }
    /// The best was taken.
    __device__ __forceinline__ void pop(float* importance, int begin, int end) {
        importance[kept[0].block] = kTaken;
        if (kept[1].rank == kNoRank) {
            scan(importance, begin, end);
            return;
        }
#pragma unroll
        for (int i = 1; i < kKept; ++i)
            kept[i - 1] = kept[i];
        kept[kKept - 1].rank = kNoRank;
    }

  private:
    /// Behind those that are as good: they have lower indices.
    __device__ __forceinline__ void insert(const Ranked& other) {
#pragma unroll
        for (int i = kKept - 1; i > 0; --i)
            if (other.rank > kept[i].rank) kept[i] = other.rank > kept[i - 1].rank ? kept[i - 1] : other;
        if (other.rank > kept[0].rank) kept[0] = other;
    }
};

/// Blocks [0, blocks) begin at or before the token; lane i of the warp gets the i-th that is chosen, in no
/// order, and the others get -1. `importance` [blocks] of shared memory is overwritten.
__device__ __forceinline__ int choose_blocks(const PrefillShape& shape, float* importance, int blocks) {
    const int lane = lane_index();
    if (blocks <= shape.n) return lane < blocks ? lane : -1;
    // More blocks than n, and all forced ones fit into n: the initial and the local ones do not meet.
    const int initial = shape.n_initial;
    const int local = blocks - shape.n_local;
    const int forced = initial + shape.n_local;
    int chosen = -1;
    if (lane < forced) chosen = lane < initial ? lane : local + lane - initial;
    LaneBest mine;
    mine.scan(importance, initial, local);
#pragma unroll 1
    for (int pick = forced; pick < shape.n; ++pick) {
        const int rank = __reduce_max_sync(0xffffffffU, mine.kept[0].rank);
        const int block =
            __reduce_min_sync(0xffffffffU, mine.kept[0].rank == rank ? mine.kept[0].block : blocks);
        if (lane == pick) chosen = block;
        if (block % kWarpSize == lane) mine.pop(importance, initial, local);
    }
    return chosen;
}

/// Writes the chosen blocks ascending, -1 behind them, to out [n], and how many there are.
__device__ __forceinline__ void write_ascending(int chosen, int n, int* out, int* count) {
    const int lane = lane_index();
    const int all = __popc(__ballot_sync(0xffffffffU, chosen >= 0));
    int before = 0;
    for (int other = 0; other < all; ++other)
        before += __shfl_sync(0xffffffffU, chosen, other) < chosen ? 1 : 0;
    if (chosen >= 0) out[before] = chosen;
    if (lane >= all && lane < n) out[lane] = -1;
    if (lane == 0) *count = all;
}

}  // namespace nsa::core::cuda
