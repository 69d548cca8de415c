// The two branches that attend raw tokens, sliding window and selected blocks: which chunks are a warp's,
// where their rows are, and how the step's own row gets there.
#pragma once

#include "nsa_core/cuda/decode/pair_step.cuh"
#include "nsa_core/cuda/decode/selection.cuh"
#include "nsa_core/cuda/decode/warp_attention.cuh"

namespace nsa::core::cuda {

// The step's own row joins the cache. The warp that reads the row is the one that writes it, so it needs no
// more than its own barrier.
template <class T, int kWidth>
__device__ __forceinline__ void append_row(const PairStep<T>& step, void* pool, const void* rows) {
    const uint4* from = reinterpret_cast<const uint4*>(static_cast<const T*>(rows) + step.pair() * kWidth);
    uint4* to = reinterpret_cast<uint4*>(static_cast<T*>(pool) +
                                         static_cast<std::int64_t>(step.row_of(step.t)) * kWidth);
    for (int i = lane_index(); i < kWidth / 8; i += kWarpSize)
        to[i] = from[i];
}

// The chunks of a warp: every so many-th, as many as the cluster has warps.
struct WarpTurn {
    int first;
    int stride;
    int count;

    [[nodiscard]] __device__ bool has(int chunk) const {
        return count > 0 && first + (count - 1) * stride == chunk;
    }
};
__device__ __forceinline__ WarpTurn turn_of_warp(int chunks) {
    const int stride = cluster_size() * kDecodeWarps;
    const int first = warp_index() * cluster_size() + cluster_rank();
    return {first, stride, first < chunks ? (chunks - first - 1) / stride + 1 : 0};
}

/// Where a chunk begins: its first token, and that token's row in the pool.
struct ChunkPlace {
    int token;
    int row;
};

/// Attends a warp's chunks of tokens that lie in [oldest, t]; place_of(i) says where chunk i begins. The own
/// token is in the last of all chunks; `appends`: that is the warp's.
template <class T, int kDk, int kDv, class PlaceOf>
__device__ __forceinline__ void attend_tokens(const PairStep<T>& step, WarpAttention<T, kDk, kDv>& attention,
                                              const PagedRows& pool, const NewRows& fresh, int count,
                                              bool appends, int oldest, PlaceOf place_of) {
    if (appends) {
        append_row<T, kDk>(step, pool.k, fresh.k);
        append_row<T, kDv>(step, pool.v, fresh.v);
        __syncwarp();
    }
    const int lane = lane_index();
    const RowSource<T> rows{static_cast<const T*>(pool.k), static_cast<const T*>(pool.v)};
    const auto row_of = [&](int i) {
        const ChunkPlace place = place_of(i);  // a chunk lies within a page
        const int token = place.token + lane;
        return lane < kChunkRows && token >= oldest && token <= step.t ? place.row + lane : kHiddenRow;
    };
    const auto visible_of = [&](int i) {
        const int first = place_of(i).token;
        return Visible{oldest - first, step.t + 1 - first};
    };
    NoVisit nothing;
    attend_chunks(attention, rows, count, row_of, visible_of, nothing);
}

// Keys of a warp's chunks, from the very masks that it attended with.
template <class T, class PlaceOf>
__device__ __forceinline__ void count_reads(const PairStep<T>& step, int branch, int count, int oldest,
                                            PlaceOf place_of) {
    if (step.p.reads == nullptr || lane_index() != 0) return;
    int keys = 0;
    for (int i = 0; i < count; ++i) {
        const int first = place_of(i).token;
        keys += min(first + kChunkRows, step.t + 1) - max(first, oldest);
    }
    if (keys > 0) atomicAdd(step.p.reads + step.pair() * 3 + branch, keys);
}

template <class T, int kDk, int kDv>
__device__ __forceinline__ void attend_window(const PairStep<T>& step,
                                              WarpAttention<T, kDk, kDv>& attention) {
    const int oldest = max(0, step.t - step.p.shape.w + 1);
    const int begin = oldest / kChunkRows;
    const int chunks = step.t / kChunkRows + 1 - begin;
    const WarpTurn turn = turn_of_warp(chunks);
    const auto place_of = [&](int i) {
        const int token = (begin + turn.first + i * turn.stride) * kChunkRows;
        return ChunkPlace{token, step.row_of(token)};
    };
    attend_tokens(step, attention, step.p.win, step.p.new_win, turn.count, turn.has(chunks - 1), oldest,
                  place_of);
    count_reads(step, 2, turn.count, oldest, place_of);
}

template <class T, int kDk, int kDv>
__device__ __forceinline__ void attend_selected(const PairStep<T>& step,
                                                WarpAttention<T, kDk, kDv>& attention,
                                                const SelectionShared& selection, int count) {
    const Divisor& block_chunks = step.constants.block_chunks;
    const int each = static_cast<int>(block_chunks.divisor);
    const int l_sel = step.p.shape.l_sel;
    const int in_own_block = step.t % l_sel / kChunkRows + 1;  // the last block selected is the step's own
    const int chunks = (count - 1) * each + in_own_block;
    const WarpTurn turn = turn_of_warp(chunks);
    const auto place_of = [&](int i) {
        const int chunk = turn.first + i * turn.stride;
        const int slot = block_chunks.quotient(chunk);
        const int offset = (chunk - slot * each) * kChunkRows;
        return ChunkPlace{selection.blocks[slot] * l_sel + offset, selection.rows[slot] + offset};
    };
    attend_tokens(step, attention, step.p.sel, step.p.new_sel, turn.count, turn.has(chunks - 1), 0, place_of);
    count_reads(step, 1, turn.count, 0, place_of);
}

}  // namespace nsa::core::cuda
