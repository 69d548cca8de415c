// Stage 3: which blocks the query selects. Every rank of a group computes it for itself from the same scores,
// which is faster than asking one and waiting. Exactly select_blocks of selection.cpp: forced blocks, ties to
// the lower index, a NaN counts as 0.
#pragma once

#include "nsa_core/cuda/step/attend.cuh"

namespace nsa::core::cuda::step {

inline constexpr unsigned kForced = 0x7F800000U;  // the bits of infinity: above every importance

// Maximum and inverse sum of the compressed scores of head `lane`.
struct HeadSoftmax {
    float max = 0.0F;
    float inverse_sum = 0.0F;

    template <class Team>
    __device__ __forceinline__ HeadSoftmax(const Context& me, const Team& team) {
        if (me.lane >= me.heads()) return;
        Merge total;
        const auto part = [&](int split) {
            return me.inbox(me.at.stats) + (split * me.at.head_slots + me.lane) * 2;
        };
        for (int split = 0; split < me.at.splits; ++split)
            total.see(team.load(part(split)));
        for (int split = 0; split < me.at.splits; ++split)
            total.sum = fmaf(total.weight(team.load(part(split))), team.load(part(split) + 1), total.sum);
        max = total.max;
        inverse_sum = 1.0F / total.sum;
    }
};

// Probability of compressed token i, summed over the heads of the group (Eqs. 8 and 10). All lanes call.
template <class Team>
__device__ __forceinline__ float group_probability(const Context& me, const Team& team,
                                                   const HeadSoftmax& softmax, int i, bool exists) {
    float sum = 0.0F;
    for (int tile = 0; tile < me.heads(); tile += kHeadTile) {
        float4 scores = make_float4(0.0F, 0.0F, 0.0F, 0.0F);
        if (exists) scores = team.load4(me.inbox(me.at.scores) + i * me.at.head_slots + tile);
        const float score[kHeadTile] = {scores.x, scores.y, scores.z, scores.w};
#pragma unroll
        for (int h = 0; h < kHeadTile; ++h) {
            const float max = __shfl_sync(0xffffffffU, softmax.max, (tile + h) % 32);
            const float inverse = __shfl_sync(0xffffffffU, softmax.inverse_sum, (tile + h) % 32);
            if (tile + h < me.heads()) sum += exp2f(score[h] - max) * inverse;
        }
    }
    return exists ? sum : 0.0F;
}

// Eq. 9 for block j: the tokens that overlap it, weighted by the overlap in units of d. Every block adds its
// terms in the same order, so equal probabilities give exactly equal importance.
template <class Team>
__device__ __forceinline__ float block_importance(const Context& me, const Team& team, const Position& now,
                                                  const HeadSoftmax& softmax, int j) {
    const StepShape& s = me.shape();
    const int stride = s.l_sel / s.d;  // tokens that begin in a block
    const int reach = s.l / s.d;       // units that a token covers
    float sum = 0.0F;
    for (int place = 1 - reach; place < stride; ++place) {
        const int i = j * stride + place;
        const bool exists = j < now.blocks && i >= 0 && i < now.compressed;
        const int weight = min(place + reach, stride) - max(place, 0);
        sum += static_cast<float>(weight) * group_probability(me, team, softmax, i, exists);
    }
    return sum;
}

// Ranks of importance, as bits: they order like the values, which are never negative.
template <class Team>
__device__ __forceinline__ void weigh_blocks(const Context& me, const Team& team, const Position& now) {
    const StepShape& s = me.shape();
    const HeadSoftmax softmax{me, team};
    unsigned* importance = me.bits(me.at.importance);
    int* places = me.ints(me.at.places);
    // Whole warps enter together: the probabilities are exchanged by shuffles.
    for (int first = me.warp * 32; first < now.blocks; first += kStepThreads) {
        const int j = first + me.lane;
        const float value = block_importance(me, team, now, softmax, j);
        if (j >= now.blocks) continue;
        const bool forced = j < s.n_initial || j > now.blocks - 1 - s.n_local;
        importance[j] = forced ? kForced : isnan(value) ? 0U : __float_as_uint(value);
        places[j] = 0;
    }
}

// For each block the number of blocks that come before it. Threads share the comparisons of a block when
// there are more threads than blocks.
__device__ __forceinline__ void place_blocks(const Context& me, const Position& now) {
    const unsigned* importance = me.bits(me.at.importance);
    int* places = me.ints(me.at.places);
    int width = 32;  // threads side by side on different blocks
    while (width < now.blocks && width < kStepThreads)
        width *= 2;
    const int part = static_cast<int>(threadIdx.x) / width;
    const int parts = kStepThreads / width;
    const int each = (now.blocks + parts - 1) / parts;
    const int begin = part * each;
    const int end = min(begin + each, now.blocks);
    for (int j = static_cast<int>(threadIdx.x) % width; j < now.blocks; j += width) {
        const unsigned own = importance[j];
        int before = 0;
#pragma unroll 8
        for (int i = begin; i < end; ++i) {
            // Larger, or equal and of lower index.
            before += importance[i] + (i < j ? 1U : 0U) > own ? 1 : 0;
        }
        if (before > 0) atomicAdd(&places[j], before);  // integers: the order does not matter
    }
}

// The picked blocks, ascending, by one warp.
__device__ __forceinline__ void list_picks(const Context& me, const Position& now, bool all) {
    int* picks = me.ints(me.at.picks);
    const int* places = me.ints(me.at.places);
    int count = 0;
    for (int first = 0; first < now.blocks; first += 32) {
        const int j = first + me.lane;
        const bool picked = j < now.blocks && (all || places[j] < me.shape().n);
        const unsigned mask = __ballot_sync(0xffffffffU, picked);
        if (picked) picks[count + __popc(mask & ((1U << me.lane) - 1U))] = j;
        count += __popc(mask);
    }
}

// Leaves the picks in the rank's scratch, min(n, blocks) of them, visible to all its threads.
template <class Team>
__device__ __forceinline__ void select_blocks(const Context& me, const Team& team, const Position& now) {
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
