// For each block the tokens that select it, ascending: the transpose of the block lists, for the gradients of
// keys and values. Four kernels: counts for each chunk of tokens, their running sums over the chunks, over
// the blocks, and the tokens at their places. The place of a token is a count of those before it, so that the
// lists do not depend on the order in which threads run.
#pragma once

#include "nsa_core/cuda/prefill/selected_plan.hpp"
#include "nsa_core/cuda/prefill/work.cuh"
#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {

inline constexpr int kChunkWords = kChunkTokens / 32;
inline constexpr int kSumWarps = 16;  // that share the chunks of 32 blocks

/// The tokens [first, last) of one (sequence, group) that a thread block sorts.
struct TokenChunk {
    Sequence sequence;
    int group;
    int index;
    int first;
    int last;
    int blocks;  // of the longest sequence

    [[nodiscard]] __device__ bool empty() const { return first >= last; }
};

// A (sequence, group) counted from the first one.
__device__ __forceinline__ std::int64_t pair_index(const PrefillShape& shape, int group) {
    return static_cast<std::int64_t>(blockIdx.y) * shape.groups + group;
}

// Grid: x = (chunk, group), y = sequence.
__device__ __forceinline__ TokenChunk token_chunk(const MakeInverseLists& p) {
    const Sequence sequence = tokens_of(p.sequences, static_cast<int>(blockIdx.y));
    const int index = static_cast<int>(blockIdx.x) / p.shape.groups;
    const int group = static_cast<int>(blockIdx.x) % p.shape.groups;
    const int first = index * kChunkTokens;
    return {sequence, group, index, first, min(first + kChunkTokens, sequence.length), max_blocks(p.shape)};
}

/// The chunk's counts, then its places, of every block.
__device__ __forceinline__ int* chunk_counts(const MakeInverseLists& p, const Sequence& sequence, int group,
                                             int chunk) {
    const std::int64_t before = chunks_before(sequence.first, sequence.index) * p.shape.groups;
    return p.counts + (before + group * inverse_chunks(sequence.length) + chunk) * max_blocks(p.shape);
}

/// Which tokens of the chunk select which block: a bit each in masks [blocks, kChunkWords] of shared memory.
__device__ __forceinline__ void mark_tokens(const MakeInverseLists& p, const TokenChunk& chunk,
                                            unsigned* masks) {
    constexpr int kAtOnce = 4;  // loads under way
    const int thread = static_cast<int>(threadIdx.x);
    for (int i = thread; i < chunk.blocks * kChunkWords; i += kChunkTokens)
        masks[i] = 0;
    __syncthreads();
    const int n = p.shape.n;
    const int slots = (chunk.last - chunk.first) * n;
    const auto block_of = [&](int i) {
        if (i >= slots) return -1;
        const std::int64_t list = (chunk.sequence.first + chunk.first + i / n) * p.shape.groups + chunk.group;
        const int count = p.lists.count[list];
        const int block = p.lists.blocks[list * n + i % n];
        return i % n < count ? block : -1;
    };
    for (int first = thread; first < slots; first += kAtOnce * kChunkTokens) {
        int blocks[kAtOnce];
#pragma unroll
        for (int j = 0; j < kAtOnce; ++j)
            blocks[j] = block_of(first + j * kChunkTokens);
#pragma unroll
        for (int j = 0; j < kAtOnce; ++j) {
            const int token = (first + j * kChunkTokens) / n;
            if (blocks[j] >= 0) atomicOr(&masks[blocks[j] * kChunkWords + token / 32], 1U << (token % 32));
        }
    }
    __syncthreads();
}

/// The sum over the lanes up to this one, of each kLanes adjacent lanes.
template <int kLanes = kWarpSize>
__device__ __forceinline__ int running_sum(int x) {
    for (int step = 1; step < kLanes; step *= 2) {
        const int before = __shfl_up_sync(0xffffffffU, x, step);
        if (lane_index() % kLanes >= step) x += before;
    }
    return x;
}

__global__ void __launch_bounds__(kChunkTokens)
    inverse_list_count_kernel(const __grid_constant__ MakeInverseLists p) {
    unsigned* const masks = dynamic_shared<unsigned>();
    const TokenChunk chunk = token_chunk(p);
    if (chunk.empty()) return;
    mark_tokens(p, chunk, masks);
    int* const counts = chunk_counts(p, chunk.sequence, chunk.group, chunk.index);
    for (int block = static_cast<int>(threadIdx.x); block < chunk.blocks; block += kChunkTokens) {
        int count = 0;
        for (int word = 0; word < kChunkWords; ++word)
            count += __popc(masks[block * kChunkWords + word]);
        counts[block] = count;
    }
}

__global__ void __launch_bounds__(kChunkTokens)
    inverse_list_fill_kernel(const __grid_constant__ MakeInverseLists p) {
    unsigned* const masks = dynamic_shared<unsigned>();
    const TokenChunk chunk = token_chunk(p);
    if (chunk.empty()) return;
    mark_tokens(p, chunk, masks);
    const int* const places = chunk_counts(p, chunk.sequence, chunk.group, chunk.index);
    const std::int64_t pair = pair_index(p.shape, chunk.group);
    const int* const first = p.out.first + pair * (chunk.blocks + 1);
    int* const tokens =
        p.out.tokens +
        tokens_before(p.shape, chunk.sequence.first, chunk.sequence.length, chunk.group) * p.shape.n;
    // A warp takes 32 blocks at a time, and a lane a word of one of them: a block's tokens lie side by side.
    const int lane = lane_index();
    for (int base = warp_index() * kWarpSize; base < chunk.blocks; base += kChunkTokens) {
        const int own = base + lane;
        const int start = own < chunk.blocks ? first[own] + places[own] : 0;
#pragma unroll 1
        for (int round = 0; round < kWarpSize; round += kWarpSize / kChunkWords) {
            const int block = base + round + lane / kChunkWords;
            unsigned word = block < chunk.blocks ? masks[block * kChunkWords + lane % kChunkWords] : 0;
            const int count = __popc(word);
            int at = __shfl_sync(0xffffffffU, start, block - base) + running_sum<kChunkWords>(count) - count;
            for (int token = chunk.first + lane % kChunkWords * 32; word != 0; word &= word - 1)
                tokens[at++] = token + __ffs(static_cast<int>(word)) - 1;
        }
    }
}

/// first[j] = what(0) + .. + what(j - 1) for j up to `count`, by one warp.
template <class What>
__device__ __forceinline__ void write_running_sums(int* first, int count, What what) {
    int all = 0;
    for (int begin = 0; begin < count; begin += kWarpSize) {
        const int at = begin + lane_index();
        const int mine = at < count ? what(at) : 0;
        const int sum = running_sum(mine);
        if (at < count) first[at] = all + sum - mine;
        all += __shfl_sync(0xffffffffU, sum, kWarpSize - 1);
    }
    if (lane_index() == 0) first[count] = all;
}

/// The counts become places: how many the chunks before have. Leaves each block's total in `first`.
/// Grid: x = (32 blocks, group), y = sequence. A lane takes a block, a warp a run of chunks.
__global__ void __launch_bounds__(kSumWarps* kWarpSize)
    inverse_list_sum_kernel(const __grid_constant__ MakeInverseLists p) {
    int* const sums = dynamic_shared<int>();  // [kSumWarps, kWarpSize]
    const int group = static_cast<int>(blockIdx.x) % p.shape.groups;
    const int block = static_cast<int>(blockIdx.x) / p.shape.groups * kWarpSize + lane_index();
    const Sequence sequence = tokens_of(p.sequences, static_cast<int>(blockIdx.y));
    const int blocks = max_blocks(p.shape);
    const int chunks = inverse_chunks(sequence.length);
    const int run = (chunks + kSumWarps - 1) / kSumWarps;
    const int warp = warp_index();
    const int begin = warp * run;
    const int end = block < blocks ? min(begin + run, chunks) : 0;
    int* const counts = chunk_counts(p, sequence, group, 0) + block;
    int sum = 0;
#pragma unroll 8
    for (int chunk = begin; chunk < end; ++chunk)
        sum += counts[static_cast<std::int64_t>(chunk) * blocks];
    sums[warp * kWarpSize + lane_index()] = sum;
    __syncthreads();
    int before = 0;
    for (int other = 0; other < warp; ++other)
        before += sums[other * kWarpSize + lane_index()];
#pragma unroll 8
    for (int chunk = begin; chunk < end; ++chunk) {
        int& count = counts[static_cast<std::int64_t>(chunk) * blocks];
        const int mine = count;
        count = before;
        before += mine;
    }
    if (warp == kSumWarps - 1 && block < blocks)
        p.out.first[pair_index(p.shape, group) * (blocks + 1) + block] = before;
}

/// Where the lists, items and parts of each block begin, from the totals in `first`.
/// Grid: x = group, y = sequence.
__global__ void __launch_bounds__(kChunkTokens)
    inverse_list_ends_kernel(const __grid_constant__ MakeInverseLists p) {
    int* const totals = dynamic_shared<int>();  // [blocks]
    const int length = tokens_of(p.sequences, static_cast<int>(blockIdx.y)).length;
    const int blocks = max_blocks(p.shape);
    const std::int64_t out = pair_index(p.shape, static_cast<int>(blockIdx.x)) * (blocks + 1);
    for (int block = static_cast<int>(threadIdx.x); block < blocks; block += kChunkTokens)
        totals[block] = p.out.first[out + block];
    __syncthreads();
    // A block without tokens has gradients too: zeros. One behind the end of its sequence has none.
    const auto items = [&](int block) {
        if (block * p.shape.l_sel >= length) return 0;
        return max((totals[block] + p.out.item_tokens - 1) / p.out.item_tokens, 1);
    };
    const int warp = warp_index();
    if (warp == 0) write_running_sums(p.out.first + out, blocks, [&](int block) { return totals[block]; });
    if (warp == 1) write_running_sums(p.out.first_item + out, blocks, items);
    if (warp == 2) {
        write_running_sums(p.out.first_part + out, blocks,
                           [&](int block) { return items(block) > 1 ? items(block) : 0; });
    }
}

}  // namespace nsa::core::cuda
