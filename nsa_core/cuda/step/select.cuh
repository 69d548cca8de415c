// Stage 3: which blocks the query selects. Every rank of a group computes it for itself from the same scores,
// which is faster than asking one and waiting. Exactly select_blocks of selection.cpp: forced blocks, ties to
// the lower index, a NaN counts as 0.
#pragma once

#include "nsa_core/cuda/step/attend.cuh"

namespace nsa::core::cuda::step {

inline constexpr int kForced = 0x7F800000;  // the bits of infinity: above every importance

// Maximum and inverse sum of the compressed scores of one head.
struct HeadSoftmax {
    float max = 0.0F;
    float inverse_sum = 0.0F;
};

template <class Me, class Team>
__device__ __forceinline__ HeadSoftmax head_softmax(const Me& me, const Team& team, int head) {
    const StepLayout at = me.at();
    const auto part = [&](int split) { return me.inbox(at.stats) + (split * at.head_slots + head) * 2; };
    Merge total;
#pragma unroll 8
    for (int split = 0; split < at.splits; ++split)
        total.see(team.load(part(split)));
#pragma unroll 8
    for (int split = 0; split < at.splits; ++split)
        total.sum = fmaf(total.weight(team.load(part(split))), team.load(part(split) + 1), total.sum);
    return {.max = total.max, .inverse_sum = __fdividef(1.0F, total.sum)};
}

// Probability of compressed token i, summed over a tile of heads (Eqs. 8 and 10).
template <class Me, class Team>
__device__ __forceinline__ float tile_probability(const Me& me, const Team& team,
                                                  const HeadSoftmax (&softmax)[kHeadTile], int head, int i) {
    const float4 scores = team.load4(me.scores(i) + head);
    const float score[kHeadTile] = {scores.x, scores.y, scores.z, scores.w};
    float sum = 0.0F;
#pragma unroll
    for (int h = 0; h < kHeadTile; ++h)
        if (head + h < me.heads()) sum += exp2_fast(score[h] - softmax[h].max) * softmax[h].inverse_sum;
    return sum;
}

// Eq. 9 for block j and a tile of heads: the tokens that overlap the block, weighted by the overlap in units
// of d. Every block adds its terms in the same order, so equal probabilities give exactly equal importance.
template <class Me, class Team>
__device__ __forceinline__ float tile_importance(const Me& me, const Team& team, const Position& now,
                                                 const HeadSoftmax (&softmax)[kHeadTile], int head, int j) {
    const StepShape s = me.shape();
    const int stride = s.l_sel / s.d;  // tokens that begin in a block
    const int reach = s.l / s.d;       // units that a token covers
    float sum = 0.0F;
    if (now.compressed == 0) return sum;
#pragma unroll 5
    for (int place = 1 - reach; place < stride; ++place) {
        const int i = j * stride + place;
        const int weight = min(place + reach, stride) - max(place, 0);
        // Without a branch, so that the scores of all places are on their way at once.
        const float p = tile_probability(me, team, softmax, head, min(max(i, 0), now.compressed - 1));
        if (i >= 0 && i < now.compressed) sum += static_cast<float>(weight) * p;
    }
    return sum;
}

// Importance of every block as bits, which order like the values: those are never negative. Rounded up to
// whole vectors of 4, the rest is 0.
template <class Me, class Team>
__device__ __forceinline__ void weigh_blocks(const Me& me, const Team& team, const Position& now) {
    const StepShape s = me.shape();
    int* importance = me.ints(me.at().importance);
    int* places = me.ints(me.at().places);
    // Whole warps enter together: the heads' statistics are exchanged by shuffles.
    for (int first = me.warp * 32; first < now.blocks; first += kStepThreads) {
        const int j = first + me.lane;
        float value = 0.0F;
        for (int head = 0; head < me.heads(); head += kHeadTile) {
            const HeadSoftmax own = head_softmax(me, team, head + me.lane % kHeadTile);
            HeadSoftmax softmax[kHeadTile];
#pragma unroll
            for (int h = 0; h < kHeadTile; ++h) {
                softmax[h].max = __shfl_sync(kAllLanes, own.max, h);
                softmax[h].inverse_sum = __shfl_sync(kAllLanes, own.inverse_sum, h);
            }
            value += tile_importance(me, team, now, softmax, head, j);
        }
        if (j >= (now.blocks + 3) / 4 * 4) continue;
        const bool forced = j < s.n_initial || j > now.blocks - 1 - s.n_local;
        importance[j] = j >= now.blocks ? 0 : forced ? kForced : isnan(value) ? 0 : __float_as_int(value);
        places[j] = 0;
    }
}

// For each block the number of blocks that come before it. Threads share the comparisons of a block when
// there are more threads than blocks.
template <class Me>
__device__ __forceinline__ void place_blocks(const Me& me, const Position& now) {
    const int* importance = me.ints(me.at().importance);
    int* places = me.ints(me.at().places);
    // Threads side by side on different blocks: a power of two, whole warps.
    const int log_width = min(max(32 - __clz(now.blocks - 1), 5), 8);
    const int part = static_cast<int>(threadIdx.x) >> log_width;
    const int parts = kStepThreads >> log_width;
    const int each = ((now.blocks + 3) / 4 + parts - 1) / parts * 4;
    const int begin = part * each;
    const int end = min(begin + each, now.blocks);
    const int step = 1 << log_width;
    for (int j = static_cast<int>(threadIdx.x) & (step - 1); j < now.blocks; j += step) {
        const int own = importance[j];
        int before = 0;
#pragma unroll 4
        for (int i = begin; i < end; i += 4) {
            const int4 four = *reinterpret_cast<const int4*>(importance + i);
            // Larger, or equal and of lower index. The padding is neither.
            before += four.x > own - (i < j ? 1 : 0) ? 1 : 0;
            before += four.y > own - (i + 1 < j ? 1 : 0) ? 1 : 0;
            before += four.z > own - (i + 2 < j ? 1 : 0) ? 1 : 0;
            before += four.w > own - (i + 3 < j ? 1 : 0) ? 1 : 0;
        }
        if (before > 0) atomicAdd(&places[j], before);  // integers: the order does not matter
    }
}

// The picked blocks, ascending, by one warp.
template <class Me>
__device__ __forceinline__ void list_picks(const Me& me, const Position& now, bool all) {
    int* picks = me.ints(me.at().picks);
    const int* places = me.ints(me.at().places);
    int count = 0;
    for (int first = 0; first < now.blocks; first += 32) {
        const int j = first + me.lane;
        const bool picked = j < now.blocks && (all || places[j] < me.shape().n);
        const unsigned mask = __ballot_sync(kAllLanes, picked);
        if (picked) picks[count + __popc(mask & ((1U << me.lane) - 1U))] = j;
        count += __popc(mask);
    }
}

// Leaves the picks in the rank's scratch, min(n, blocks) of them, visible to all its threads.
template <class Me, class Team>
__device__ __forceinline__ void select_blocks(const Me& me, const Team& team, const Position& now) {
    const bool all = now.blocks <= me.shape().n;
    if (!all) {
        weigh_blocks(me, team, now);
        __syncthreads();
        place_blocks(me, now);
        __syncthreads();
    }
    if (me.warp == 0) list_picks(me, now, all);
    __syncthreads();
}

}  // namespace nsa::core::cuda::step
