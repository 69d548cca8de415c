// Which blocks the step selects: importance of every block (Eqs. 9 and 10) from what the compressed kernel left, and
// the n best of them. The thread blocks of a cluster rank a share each, exchange their best and agree.
#pragma once

#include "nsa_core/cuda/decode/geometry.cuh"
#include "nsa_core/cuda/decode/top_n.cuh"
#include "nsa_core/cuda/decode/warp_attention.cuh"

namespace nsa::core::cuda {

inline constexpr int kMaxSelected = 32;                                 // n
inline constexpr int kFresh = kDecodeWarps * kWarpSize;                 // blocks that a pass adds to the pool
inline constexpr int kPoolKeys = kFresh + kMaxSelected;
inline constexpr int kMaxCandidates = kMaxCluster * kMaxSelected;

/// Shared memory of the selection that other thread blocks write to or that outlives it.
struct SelectionShared {
    RankKey candidates[kMaxCandidates];  // of all thread blocks of the cluster, n slots each
    int blocks[kMaxSelected];            // selected, ascending
    float log2_sum[kTileHeads];          // of the compressed softmax, per head; +inf when there is no token
};

/// Normaliser of each head over all splits. `maxima`, `sums` [splits, heads] of the pair.
__device__ __forceinline__ void combine_normalisers(const float* maxima, const float* sums, int splits, int heads,
                                                    float* log2_sum) {
    const int head = static_cast<int>(threadIdx.x) / 8;  // eight lanes a head
    const int part = static_cast<int>(threadIdx.x) % 8;
    float largest = kFloor;
    float sum = 0.0F;
    if (head < heads) {
        for (int split = part; split < splits; split += 8)
            largest = fmaxf(largest, maxima[split * heads + head]);
    }
    for (int step = 1; step < 8; step *= 2)
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffU, largest, step));
    if (head < heads) {
        for (int split = part; split < splits; split += 8)
            sum += sums[split * heads + head] * exp2_fast(maxima[split * heads + head] - largest);
    }
    for (int step = 1; step < 8; step *= 2)
        sum += __shfl_xor_sync(0xffffffffU, sum, step);
    if (part == 0 && head < heads) log2_sum[head] = sum > 0.0F ? largest + log2_fast(sum) : INFINITY;
}

/// `importance` [blocks, heads] in log2 units; blocks from `covered` on hold nothing.
__device__ __forceinline__ float block_importance(const float* importance, int block, int covered, int heads,
                                                  const float* log2_sum) {
    float total = 0.0F;
    if (block < covered) {
        for (int head = 0; head < heads; ++head)
            total += exp2_fast(importance[block * heads + head] - log2_sum[head]);
    }
    return total;
}

__device__ __forceinline__ bool is_forced(int block, int own, const DecodeShape& shape) {
    return block < shape.n_initial || block > own - shape.n_local;
}

struct SelectionInput {
    const float* importance;  // [blocks, heads] of the pair
    const float* maxima;      // [splits, heads]
    const float* sums;
    int splits;
    int t;
};

/// Fills shared.blocks and returns how many there are. `pool`: kPoolKeys of scratch in shared memory. All threads of
/// the cluster call it together.
__device__ __forceinline__ int select_blocks(const DecodeShape& shape, const SelectionInput& in,
                                             SelectionShared& shared, RankKey* pool) {
    const int thread = static_cast<int>(threadIdx.x);
    const int heads = shape.heads_per_group();
    const int own = in.t / shape.l_sel;
    const int blocks = visible_blocks(in.t, shape);
    const int covered = compressed_chunks(visible_compressed(in.t, shape)) * kChunkRows / (shape.l_sel / shape.d);
    combine_normalisers(in.maxima, in.sums, in.splits, heads, shared.log2_sum);
    __syncthreads();

    const int size = cluster_size();
    const int rank = cluster_rank();
    const int each = (blocks + size - 1) / size;
    const int end = min((rank + 1) * each, blocks);
    int kept = 0;
    for (int first = rank * each; first < end; first += kFresh) {
        const int fresh = min(kFresh, end - first);
        if (thread < fresh) {
            const int block = first + thread;
            // A forced block stands above every ranking.
            const float importance = is_forced(block, own, shape)
                                         ? INFINITY
                                         : block_importance(in.importance, block, covered, heads, shared.log2_sum);
            pool[kept + thread] = rank_key(importance, block);
        }
        __syncthreads();
        kept = keep_best(pool, kept + fresh, shape.n);
    }
    for (int i = thread; i < size * shape.n; i += static_cast<int>(blockDim.x)) {
        const int slot = i % shape.n;
        RankKey* to = cluster_map(shared.candidates, i / shape.n);
        to[rank * shape.n + slot] = slot < kept ? pool[slot] : kNoKey;
    }
    cluster_sync();
    const int count = min(shape.n, blocks);
    keep_best(shared.candidates, size * shape.n, shape.n);
    if (thread < count) {
        const int block = block_of(shared.candidates[thread]);
        int before = 0;
        for (int i = 0; i < count; ++i)
            before += block_of(shared.candidates[i]) < block ? 1 : 0;
        shared.blocks[before] = block;
    }
    __syncthreads();
    return count;
}

}  // namespace nsa::core::cuda
