// Which blocks the step selects: importance of every block (Eqs. 9 and 10) from what the compressed kernel left, and
// the n best of them. The thread blocks of a cluster rank a share each, exchange their best and agree.
#pragma once

#include "nsa_core/cuda/decode/geometry.cuh"
#include "nsa_core/cuda/decode/partials.cuh"
#include "nsa_core/cuda/decode/top_n.cuh"

namespace nsa::core::cuda {

inline constexpr int kRankedKeys = kDecodeWarps * kWarpSize;  // ranked at a time: one a thread

/// Shared memory of the selection that other thread blocks write to or that outlives it.
struct SelectionShared {
    alignas(16) RankKey candidates[kRankedKeys];  // of all thread blocks of the cluster, n slots each
    int blocks[kMaxSelected];                     // selected, ascending
    int rows[kMaxSelected];                       // of their first tokens in the pool
    float log2_sum[kTileHeads];                   // of the compressed softmax, per head; +inf when there is no token
};

/// Normaliser of each head over all splits. `maxima`, `sums` [splits, heads] of the pair.
__device__ __forceinline__ void combine_normalisers(const float* maxima, const float* sums, int splits, int heads,
                                                    float* log2_sum) {
    constexpr int kLanes = 8;  // of a head
    const int head = static_cast<int>(threadIdx.x) / kLanes;
    float largest = kFloor;
    float sum = 0.0F;
    if (head < heads) {
#pragma unroll 4
        for (int split = static_cast<int>(threadIdx.x) % kLanes; split < splits; split += kLanes) {
            const float maximum = maxima[split * heads + head];
            const float next = fmaxf(largest, maximum);
            sum = sum * exp2_fast(largest - next) + sums[split * heads + head] * exp2_fast(maximum - next);
            largest = next;
        }
    }
    for (int step = 1; step < kLanes; step *= 2) {
        const float other = __shfl_xor_sync(0xffffffffU, largest, step);
        const float other_sum = __shfl_xor_sync(0xffffffffU, sum, step);
        const float next = fmaxf(largest, other);
        sum = sum * exp2_fast(largest - next) + other_sum * exp2_fast(other - next);
        largest = next;
    }
    if (threadIdx.x % kLanes == 0 && head < heads) log2_sum[head] = sum == 0.0F ? INFINITY : largest + log2_fast(sum);
}

/// Sum over the heads of 2^(x[head] - log2_sum[head]).
__device__ __forceinline__ float sum_heads(const float* x, int heads, const float* log2_sum) {
    float total = 0.0F;
    if (heads % 4 != 0) {
        for (int head = 0; head < heads; ++head)
            total += exp2_fast(x[head] - log2_sum[head]);
        return total;
    }
#pragma unroll 4
    for (int head = 0; head < heads; head += 4) {
        const float4 four = *reinterpret_cast<const float4*>(x + head);
        total += exp2_fast(four.x - log2_sum[head]) + exp2_fast(four.y - log2_sum[head + 1]);
        total += exp2_fast(four.z - log2_sum[head + 2]) + exp2_fast(four.w - log2_sum[head + 3]);
    }
    return total;
}

__device__ __forceinline__ bool is_forced(int block, int own, const DecodeShape& shape) {
    return block < shape.n_initial || block > own - shape.n_local;
}

struct SelectionInput {
    const float* own;   // [blocks, heads] of the pair; see BlockImportance
    const float* last;  // [blocks, heads]
    const float* maxima;  // [splits, heads]
    const float* sums;
    int splits;
    int t;
};

/// Importance of a block: from the tokens that begin in it, and from the one before when that reaches into it. The same
/// additions for every block, so that equal scores give equal importance. Blocks from `covered` on have no own tokens.
__device__ __forceinline__ float block_importance(const SelectionInput& in, int block, int covered, int heads,
                                                  bool overlapping, const float* log2_sum) {
    // Both sums are always formed, over rows that exist, so that their loads start together.
    const int before = block > 0 ? block - 1 : 0;
    const float own = sum_heads(in.own + block * heads, heads, log2_sum);
    const float last = sum_heads(in.last + before * heads, heads, log2_sum);
    return (block < covered ? own : 0.0F) + (overlapping && block > 0 && block <= covered ? last : 0.0F);
}

/// Ranking keys of the blocks [first, first + count), in shared memory.
__device__ __forceinline__ void rank_blocks(const DecodeShape& shape, const SelectionInput& in, const float* log2_sum,
                                            int first, int count, RankKey* keys) {
    const int own = in.t / shape.l_sel;
    const int covered = compressed_chunks(visible_compressed(in.t, shape)) * kBlocksPerChunk;
#pragma unroll 2
    for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
        const int block = first + i;
        const float importance =
            block_importance(in, block, covered, shape.heads_per_group(), shape.l > shape.d, log2_sum);
        // A forced block stands above every ranking.
        keys[i] = rank_key(is_forced(block, own, shape) ? INFINITY : importance, block);
    }
}

/// The n best of keys[0, count), best first: the best so far stand in front of the next ones, each round ranks what
/// there are threads for.
__device__ __forceinline__ int keep_best_of_all(RankKey* keys, int count, int n) {
    const int thread = static_cast<int>(threadIdx.x);
    int kept = keep_best(keys, min(count, kRankedKeys), n);
    for (int next = kRankedKeys; next < count;) {
        const int fresh = min(kRankedKeys - kept, count - next);
        if (thread < fresh) keys[kept + thread] = keys[next + thread];
        kept = keep_best(keys, kept + fresh, n);
        next += fresh;
    }
    return kept;
}

/// Fills shared.blocks and shared.rows and returns how many there are. `keys`: scratch in shared memory, one for every
/// block that a thread block of the cluster ranks and one more. row_of(token): its row in the pool. All threads of the
/// cluster call it together.
template <class RowOf>
__device__ __forceinline__ int select_blocks(const DecodeShape& shape, const SelectionInput& in,
                                             SelectionShared& shared, RankKey* keys, RowOf row_of) {
    combine_normalisers(in.maxima, in.sums, in.splits, shape.heads_per_group(), shared.log2_sum);
    __syncthreads();
    const int blocks = visible_blocks(in.t, shape);
    const int size = cluster_size();
    const int each = (blocks + size - 1) / size;
    const int first = min(cluster_rank() * each, blocks);
    const int mine = min(each, blocks - first);
    rank_blocks(shape, in, shared.log2_sum, first, mine, keys);
    const int kept = keep_best_of_all(keys, mine, shape.n);

    // Every thread block sends its n best to all, and all choose alike.
    const int thread = static_cast<int>(threadIdx.x);
    for (int i = thread; i < size * shape.n; i += static_cast<int>(blockDim.x)) {
        const int slot = i % shape.n;
        cluster_map(shared.candidates, i / shape.n)[cluster_rank() * shape.n + slot] =
            slot < kept ? keys[slot] : kNoKey;
    }
    cluster_sync();
    keep_best(shared.candidates, size * shape.n, shape.n);
    const int count = min(shape.n, blocks);
    if (thread < count) {
        const int block = block_of(shared.candidates[thread]);
        int before = 0;
        for (int i = 0; i < count; ++i)
            before += block_of(shared.candidates[i]) < block ? 1 : 0;
        shared.blocks[before] = block;
        shared.rows[before] = row_of(block * shape.l_sel);
    }
    __syncthreads();
    return count;
}

}  // namespace nsa::core::cuda
