// For each block the tokens that select it, ascending: the transpose of the block lists, for the gradients of
// keys and values. Three kernels: counts for each chunk of tokens, their running sums, and the tokens at
// their places. The place of a token is a count of those before it, so that the lists do not depend on the
// order in which threads run.
#pragma once

#include "nsa_core/cuda/prefill/selected_plan.hpp"
#include "nsa_core/cuda/prefill/work.cuh"
#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {

inline constexpr int kChunkWords = kChunkTokens / 32;

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
__device__ __forceinline__ int* chunk_counts(const MakeInverseLists& p, int group, int chunk) {
    return p.counts + (pair_index(p.shape, group) * inverse_chunks(p.shape) + chunk) * max_blocks(p.shape);
}

/// Calls what(token of the chunk, block) for all that the chunk's tokens select.
template <class What>
__device__ __forceinline__ void for_selected(const MakeInverseLists& p, const TokenChunk& chunk, What what) {
    const int n = p.shape.n;
    for (int i = static_cast<int>(threadIdx.x); i < (chunk.last - chunk.first) * n; i += kChunkTokens) {
        const int token = i / n;
        const std::int64_t list = (chunk.sequence.first + chunk.first + token) * p.shape.groups + chunk.group;
        if (i - token * n < p.lists.count[list]) what(token, p.lists.blocks[list * n + i - token * n]);
    }
}

/// Which tokens of the chunk select which block: a bit each in masks [blocks, kChunkWords] of shared memory.
__device__ __forceinline__ void mark_tokens(const MakeInverseLists& p, const TokenChunk& chunk,
                                            unsigned* masks) {
    for (int i = static_cast<int>(threadIdx.x); i < chunk.blocks * kChunkWords; i += kChunkTokens)
        masks[i] = 0;
    __syncthreads();
    for_selected(p, chunk, [&](int token, int block) {
        atomicOr(&masks[block * kChunkWords + token / 32], 1U << (token % 32));
    });
    __syncthreads();
}

/// Tokens of the chunk before `token` that select the block with these masks.
__device__ __forceinline__ int tokens_before(const unsigned* masks, int token) {
    int count = 0;
    for (int word = 0; word < token / 32; ++word)
        count += __popc(masks[word]);
    return token % 32 == 0 ? count : count + __popc(masks[token / 32] << (32 - token % 32));
}

__global__ void __launch_bounds__(kChunkTokens)
    inverse_list_count_kernel(const __grid_constant__ MakeInverseLists p) {
    unsigned* const masks = dynamic_shared<unsigned>();
    const TokenChunk chunk = token_chunk(p);
    if (chunk.empty()) return;
    mark_tokens(p, chunk, masks);
    int* const counts = chunk_counts(p, chunk.group, chunk.index);
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
    const int* const places = chunk_counts(p, chunk.group, chunk.index);
    const std::int64_t pair = pair_index(p.shape, chunk.group);
    const int* const first = p.out.first + pair * (chunk.blocks + 1);
    int* const tokens = p.out.tokens + pair * p.shape.max_tokens * p.shape.n;
    for_selected(p, chunk, [&](int token, int block) {
        tokens[first[block] + places[block] + tokens_before(masks + block * kChunkWords, token)] =
            chunk.first + token;
    });
}

/// The sum over the lanes up to this one.
__device__ __forceinline__ int running_sum(int x) {
    for (int step = 1; step < kWarpSize; step *= 2) {
        const int before = __shfl_up_sync(0xffffffffU, x, step);
        if (lane_index() >= step) x += before;
    }
    return x;
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

/// Grid: x = group, y = sequence.
__global__ void __launch_bounds__(kChunkTokens)
    inverse_list_sum_kernel(const __grid_constant__ MakeInverseLists p) {
    int* const totals = dynamic_shared<int>();  // [blocks]
    const int group = static_cast<int>(blockIdx.x);
    const int length = tokens_of(p.sequences, static_cast<int>(blockIdx.y)).length;
    const int blocks = max_blocks(p.shape);
    const std::int64_t pair = pair_index(p.shape, group);
    int* const counts = p.counts + pair * inverse_chunks(p.shape) * blocks;
    const int chunks = (length + kChunkTokens - 1) / kChunkTokens;
    for (int block = static_cast<int>(threadIdx.x); block < blocks; block += kChunkTokens) {
        int sum = 0;
#pragma unroll 8
        for (int chunk = 0; chunk < chunks; ++chunk) {
            int& count = counts[static_cast<std::int64_t>(chunk) * blocks + block];
            const int mine = count;
            count = sum;
            sum += mine;
        }
        totals[block] = sum;
    }
    __syncthreads();
    const std::int64_t out = pair * (blocks + 1);
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
