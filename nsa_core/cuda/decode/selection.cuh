// Which blocks the step selects: importance of every block (Eqs. 9 and 10) from what the compressed kernel
// left, and the n best of them. The thread blocks of a cluster rank a share each, exchange their best and
// agree.
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
    int pool;                                     // see keep_best_of_all
    float log2_sum[kTileHeads];  // of the compressed softmax, per head; +inf when there is no token
};

/// Normaliser of each head over all splits. `maxima`, `sums` [splits, heads] of the pair.
__device__ __forceinline__ void combine_normalisers(const float* maxima, const float* sums, int splits,
                                                    int heads, float* log2_sum) {
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
    if (threadIdx.x % kLanes == 0 && head < heads)
        log2_sum[head] = sum == 0.0F ? INFINITY : largest + log2_fast(sum);
}

__device__ __forceinline__ bool is_forced(int block, int own, const DecodeShape& shape) {
    return block < shape.n_initial || block > own - shape.n_local;
}

struct SelectionInput {
    const float* own;     // [blocks, heads] of the pair; see BlockImportance
    const float* last;    // [blocks, heads]
    const float* maxima;  // [splits, heads]
    const float* sums;
    int splits;
    int t;
};

/// What a lane contributes to the importance of blocks: four lanes a block, four heads a lane. Importance
/// comes from the tokens that begin in a block, and from the one before when that reaches into it. The same
/// additions for every block, so that equal scores give equal importance.
class ImportanceLane {
  public:
    static constexpr int kLanes = 4;

    __device__ ImportanceLane(const DecodeShape& shape, const SelectionInput& in, const float* log2_sum)
        : in_{in},
          heads_{shape.heads_per_group()},
          head_{static_cast<int>(threadIdx.x) % kLanes * kLanes},
          own_block_{in.t / shape.l_sel},
          covered_{compressed_chunks(visible_compressed(in.t, shape)) * kBlocksPerChunk},
          overlapping_{shape.l > shape.d} {
#pragma unroll
        for (int i = 0; i < kLanes; ++i)
            normaliser_[i] = head_ + i < heads_ ? log2_sum[head_ + i] : INFINITY;
    }

    /// Scores of the block's own tokens, and of the token before it. Rows that exist are read for any block.
    struct Scores {
        float own[kLanes];
        float last[kLanes];
    };
    __device__ Scores load(int block) const {
        Scores scores;
        const int existing = min(block, own_block_);
        load_heads(scores.own, in_.own + existing * heads_);
        load_heads(scores.last, in_.last + max(existing - 1, 0) * heads_);
        return scores;
    }

    /// All lanes of the block get its importance.
    [[nodiscard]] __device__ float importance(int block, const Scores& scores) const {
        const float own = block < covered_ ? sum(scores.own) : 0.0F;
        const float last = overlapping_ && block > 0 && block <= covered_ ? sum(scores.last) : 0.0F;
        return quad_sum(own + last);
    }

  private:
    __device__ void load_heads(float (&x)[kLanes], const float* row) const {
        if (heads_ % kLanes == 0) {
            const float4 four = *reinterpret_cast<const float4*>(row + min(head_, heads_ - kLanes));
            x[0] = four.x, x[1] = four.y, x[2] = four.z, x[3] = four.w;
            return;
        }
        for (int i = 0; i < kLanes; ++i)
            x[i] = row[min(head_ + i, heads_ - 1)];
    }
    // Heads that are not there have a normaliser of +inf.
    [[nodiscard]] __device__ float sum(const float (&x)[kLanes]) const {
        return (exp2_fast(x[0] - normaliser_[0]) + exp2_fast(x[1] - normaliser_[1])) +
               (exp2_fast(x[2] - normaliser_[2]) + exp2_fast(x[3] - normaliser_[3]));
    }

    const SelectionInput& in_;
    int heads_;
    int head_;
    int own_block_;
    int covered_;
    bool overlapping_;
    float normaliser_[kLanes];
};

/// Ranking keys of the blocks [first, first + count), in shared memory.
__device__ __forceinline__ void rank_blocks(const DecodeShape& shape, const SelectionInput& in,
                                            const float* log2_sum, int first, int count, RankKey* keys) {
    constexpr int kBatch = 4;  // blocks of a lane whose loads are in flight together
    constexpr int kStride = kRankedKeys / ImportanceLane::kLanes;
    const ImportanceLane lane{shape, in, log2_sum};
    const int own_block = in.t / shape.l_sel;
    const int padded = (count + kStride - 1) / kStride * kStride;  // all lanes of a warp stay together
#pragma unroll 1
    for (int begin = static_cast<int>(threadIdx.x) / ImportanceLane::kLanes; begin < padded;
         begin += kBatch * kStride) {
        ImportanceLane::Scores scores[kBatch];
#pragma unroll
        for (int i = 0; i < kBatch; ++i)
            scores[i] = lane.load(first + begin + i * kStride);
#pragma unroll
        for (int i = 0; i < kBatch; ++i) {
            const int at = begin + i * kStride;
            const float importance = lane.importance(first + at, scores[i]);
            // A forced block stands above every ranking.
            if (threadIdx.x % ImportanceLane::kLanes == 0 && at < count) {
                keys[at] =
                    rank_key(is_forced(first + at, own_block, shape) ? INFINITY : importance, first + at);
            }
        }
    }
}

/// The n best of keys[0, count), best first, and how many there are. Keys that do not beat the n-th of the
/// first ones are dropped unranked; in what order the others join the pool does not matter, because no two
/// are equal. `pool`, in shared memory, counts the keys that stand in front.
__device__ __forceinline__ int keep_best_of_all(RankKey* keys, int count, int n, int& pool) {
    const int thread = static_cast<int>(threadIdx.x);
    const int kept = keep_best(keys, min(count, kRankedKeys), n);
    if (count <= kRankedKeys) return kept;
    if (thread == 0) pool = kept;
    for (int next = kRankedKeys, fresh = 0; next < count; next += fresh) {
        fresh = min(kRankedKeys - n, count - next);
        __syncthreads();
        const int before = pool;
        __syncthreads();
        if (before + fresh > kRankedKeys) {
            keep_best(keys, before, n);
            if (thread == 0) pool = n;
            __syncthreads();
        }
        const RankKey key = thread < fresh ? keys[next + thread] : kNoKey;
        if (key > keys[n - 1]) keys[atomicAdd(&pool, 1)] = key;
    }
    __syncthreads();
    const int all = pool;
    return keep_best(keys, all, n);
}

/// Fills shared.blocks and shared.rows and returns how many there are. `keys`: scratch in shared memory, one
/// for every block that a thread block of the cluster ranks and one more. row_of(token): its row in the pool.
/// shared.log2_sum is there. All threads of the cluster call it together, and know that all of it runs: it
/// writes to its neighbours' shared memory.
template <class RowOf>
__device__ __forceinline__ int select_blocks(const DecodeShape& shape, const SelectionInput& in,
                                             SelectionShared& shared, RankKey* keys, RowOf row_of) {
    const int blocks = visible_blocks(in.t, shape);
    const int size = cluster_size();
    const int each = (blocks + size - 1) / size;
    const int first = min(cluster_rank() * each, blocks);
    const int mine = min(each, blocks - first);
    rank_blocks(shape, in, shared.log2_sum, first, mine, keys);
    const int kept = keep_best_of_all(keys, mine, shape.n, shared.pool);

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
