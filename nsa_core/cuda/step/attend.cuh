// Attention of one query token over some keys of one group: a warp takes a tile of keys at a time and serves
// up to kHeadTile heads with it. fp32 throughout, without TF32: 4 dot products per key are too few for a
// matrix unit.
#pragma once

#include <cfloat>

#include "nsa_core/cuda/step/context.cuh"
#include "nsa_core/cuda/step/team.cuh"

namespace nsa::core::cuda::step {

// How a warp lies over keys of `kWidth` components: a few lanes share a key, 4 components each.
template <int kWidth>
struct WarpShape {
    static constexpr int kLanes = kWidth / 4;  // of a key: 4, 8 or 16
    static constexpr int kKeys = 32 / kLanes;  // side by side
    static constexpr int kSteps = 4;           // one after the other; all loaded before the first is used
    static constexpr int kTile = kKeys * kSteps;
};

// Rows of a branch in one group. Row `fresh` is made by this step and comes from the inbox: reading it from
// the cache could overtake its write.
struct KeyRows {
    const float* k = nullptr;
    const float* v = nullptr;
    int fresh = -1;
    int fresh_k = 0;  // inbox offsets
    int fresh_v = 0;
};

// Which row is the i-th key of a range.
struct Consecutive {
    int first = 0;
    __device__ __forceinline__ int operator()(int i) const { return first + i; }
};
struct FromBlocks {
    const int* picks;  // ascending
    int l_sel = 0;
    __device__ __forceinline__ int operator()(int i) const {
        const unsigned block = static_cast<unsigned>(i) / static_cast<unsigned>(l_sel);
        return picks[block] * l_sel + i - static_cast<int>(block) * l_sel;
    }
};

// Keys [begin, end) of a range.
struct Share {
    int begin = 0;
    int end = 0;
};

// An even share of `count` keys for split `split` of `splits`.
__device__ __forceinline__ Share share_of(int count, int split, int splits) {
    const unsigned all = static_cast<unsigned>(splits);
    const int each = static_cast<int>((static_cast<unsigned>(count) + all - 1) / all);
    return {.begin = min(split * each, count), .end = min((split + 1) * each, count)};
}

template <int kWidth>
struct KeyTile {
    using Shape = WarpShape<kWidth>;
    float4 k[Shape::kSteps];
    float4 v[Shape::kSteps];

    // All but the fresh row; what lies behind the end is 0.
    template <class RowOf>
    __device__ __forceinline__ void load(const KeyRows& rows, const RowOf& row_of, int first, int end,
                                         int lane) {
        const int component = lane % Shape::kLanes * 4;
#pragma unroll
        for (int step = 0; step < Shape::kSteps; ++step) {
            const int i = first + step * Shape::kKeys + lane / Shape::kLanes;
            k[step] = v[step] = make_float4(0.0F, 0.0F, 0.0F, 0.0F);
            if (i >= end) continue;
            const int row = row_of(i);
            if (row == rows.fresh) continue;
            const std::int64_t at = static_cast<std::int64_t>(row) * kWidth + component;
            k[step] = __ldcg(reinterpret_cast<const float4*>(rows.k + at));
            v[step] = __ldcg(reinterpret_cast<const float4*>(rows.v + at));
        }
    }
};

// Softmax attention so far of one warp over its keys, for one tile of heads. Scores are in log2 units. A lane
// keeps the maximum and sum of head `lane % 4`, and the outputs of all heads for its components of V.
template <class Me>
class Attention {
  public:
    static constexpr int kWidth = Me::kWidth;
    using Shape = WarpShape<kWidth>;

    // Queries of heads [head, head + kHeadTile) of the group; a head that does not exist counts as 0.
    template <class Team>
    __device__ __forceinline__ Attention(const Me& me, const Team& team, int head) {
#pragma unroll
        for (int h = 0; h < kHeadTile; ++h) {
            out_[h] = q_[h] = make_float4(0.0F, 0.0F, 0.0F, 0.0F);
            if (head + h >= me.heads()) continue;
            q_[h] = team.load4(me.inbox(me.at().q) + (head + h) * kWidth + me.lane % Shape::kLanes * 4);
        }
    }

    // kWarps warps take the tiles of the share in turn. `loaded`: `tile` holds this warp's first already.
    // on_score(i, score) is called in every lane for its key i and head lane % 4.
    template <int kWarps, class Team, class RowOf, class OnScore>
    __device__ __forceinline__ void run(const Me& me, const Team& team, const KeyRows& rows,
                                        const RowOf& row_of, const Share& share, int warp,
                                        KeyTile<kWidth>& tile, bool loaded, const OnScore& on_score) {
        const float scale = me.p.scale * kLog2E;
#pragma unroll 1
        for (int first = share.begin + warp * Shape::kTile; first < share.end;
             first += kWarps * Shape::kTile) {
            if (!loaded) tile.load(rows, row_of, first, share.end, me.lane);
            loaded = false;
            add(me, team, rows, row_of, first, share.end, scale, tile, on_score);
        }
    }

    // Leaves the warp's result in the rank's scratch: adds up over the lanes that hold different keys, and
    // with each step over lanes halves what a lane goes on with.
    __device__ __forceinline__ void store(const Me& me, int warp) {
#pragma unroll
        for (int step = Shape::kLanes; step < 32; step *= 2)
            sum_ += __shfl_xor_sync(kAllLanes, sum_, step);
        if (me.lane < kHeadTile) {
            const int at = me.at().warp_stats + (warp * kHeadTile + me.lane) * 2;
            *reinterpret_cast<float2*>(me.floats(at)) = make_float2(max_, sum_);
        }
        if (me.lane == 0) me.ints(me.at().warp_keys)[warp] = keys_;

        const bool high16 = (me.lane & 16) != 0;
        float4 two[2];
#pragma unroll
        for (int h = 0; h < 2; ++h)
            two[h] = add_other_lanes(high16 ? out_[h + 2] : out_[h], high16 ? out_[h] : out_[h + 2], 16);
        const int component = me.lane % Shape::kLanes * 4;
        float* out = me.floats(me.at().warp_out) + (warp * kHeadTile + (high16 ? 2 : 0)) * kWidth + component;
        if constexpr (Shape::kKeys == 2) {
#pragma unroll
            for (int h = 0; h < 2; ++h)
                *reinterpret_cast<float4*>(out + h * kWidth) = two[h];
        } else {
            const bool high8 = (me.lane & 8) != 0;
            float4 one = add_other_lanes(high8 ? two[1] : two[0], high8 ? two[0] : two[1], 8);
            if constexpr (Shape::kKeys == 8) one = add_other_lanes(one, one, 4);
            if (high8) out += kWidth;
            *reinterpret_cast<float4*>(out) = one;
        }
    }

  private:
    // `kept` plus what the lane across sends.
    static __device__ __forceinline__ float4 add_other_lanes(float4 kept, float4 sent, int across) {
        kept.x += __shfl_xor_sync(kAllLanes, sent.x, across);
        kept.y += __shfl_xor_sync(kAllLanes, sent.y, across);
        kept.z += __shfl_xor_sync(kAllLanes, sent.z, across);
        kept.w += __shfl_xor_sync(kAllLanes, sent.w, across);
        return kept;
    }

    // The dot products of this lane's key with the four queries, summed over the lanes of the key so that
    // each lane ends with the one of head lane % 4.
    __device__ __forceinline__ float score(float4 k, int lane) const {
        float part[kHeadTile];
#pragma unroll
        for (int h = 0; h < kHeadTile; ++h)
            part[h] = dot4(q_[h], k, 0.0F);
        const bool odd = lane % 2 == 1;
        const float low = (odd ? part[1] : part[0]) + __shfl_xor_sync(kAllLanes, odd ? part[0] : part[1], 1);
        const float high = (odd ? part[3] : part[2]) + __shfl_xor_sync(kAllLanes, odd ? part[2] : part[3], 1);
        const bool upper = lane / 2 % 2 == 1;
        float sum = (upper ? high : low) + __shfl_xor_sync(kAllLanes, upper ? low : high, 2);
#pragma unroll
        for (int step = 4; step < Shape::kLanes; step *= 2)
            sum += __shfl_xor_sync(kAllLanes, sum, step);
        return sum;
    }

    template <class Team, class RowOf, class OnScore>
    __device__ __forceinline__ void add(const Me& me, const Team& team, const KeyRows& rows,
                                        const RowOf& row_of, int first, int end, float scale,
                                        KeyTile<kWidth>& tile, const OnScore& on_score) {
        float s[Shape::kSteps];
        float highest = max_;
#pragma unroll
        for (int step = 0; step < Shape::kSteps; ++step) {
            const int i = first + step * Shape::kKeys + me.lane / Shape::kLanes;
            const bool inside = i < end;
            if (inside && row_of(i) == rows.fresh) {
                tile.k[step] = team.load4(rows.fresh_k + me.lane % Shape::kLanes * 4);
                tile.v[step] = team.load4(rows.fresh_v + me.lane % Shape::kLanes * 4);
            }
            s[step] = score(tile.k[step], me.lane) * scale;
            keys_ += __popc(__ballot_sync(kAllLanes, inside)) / Shape::kLanes;
            if (inside) {
                on_score(i, s[step]);
                highest = fmaxf(highest, s[step]);
            }
        }
#pragma unroll
        for (int step = Shape::kLanes; step < 32; step *= 2)
            highest = fmaxf(highest, __shfl_xor_sync(kAllLanes, highest, step));
        rescale(highest);
#pragma unroll
        for (int step = 0; step < Shape::kSteps; ++step) {
            const bool inside = first + step * Shape::kKeys + me.lane / Shape::kLanes < end;
            const float p = inside ? exp2_fast(s[step] - max_) : 0.0F;
            sum_ += p;
#pragma unroll
            for (int h = 0; h < kHeadTile; ++h) {
                const float weight = __shfl_sync(kAllLanes, p, h, Shape::kLanes);
                out_[h].x = fmaf(weight, tile.v[step].x, out_[h].x);
                out_[h].y = fmaf(weight, tile.v[step].y, out_[h].y);
                out_[h].z = fmaf(weight, tile.v[step].z, out_[h].z);
                out_[h].w = fmaf(weight, tile.v[step].w, out_[h].w);
            }
        }
    }

    __device__ __forceinline__ void rescale(float highest) {
        const float factor = exp2_fast(max_ - highest);
        max_ = highest;
        sum_ *= factor;
#pragma unroll
        for (int h = 0; h < kHeadTile; ++h) {
            const float of_head = __shfl_sync(kAllLanes, factor, h, Shape::kLanes);
            out_[h].x *= of_head;
            out_[h].y *= of_head;
            out_[h].z *= of_head;
            out_[h].w *= of_head;
        }
    }

    float4 q_[kHeadTile];
    float4 out_[kHeadTile];
    // Finite, so that no difference of two maxima is inf - inf; the lowest, so that any finite score is above
    // it.
    float max_ = -FLT_MAX;
    float sum_ = 0.0F;
    int keys_ = 0;
};

// A running softmax state put together from parts; the parts' order is fixed, so the result is too.
struct Merge {
    float max = -FLT_MAX;
    float sum = 0.0F;

    __device__ __forceinline__ void see(float part_max) { max = fmaxf(max, part_max); }
    __device__ __forceinline__ float weight(float part_max) const { return exp2_fast(part_max - max); }
};

// Adds up what kWarps warps from `first_warp` on stored for one branch, and hands it to the owners of the
// heads; the statistics of compressed scores also to the whole group. Thread `worker` of kWorkers.
template <int kWarps, int kWorkers, class Me, class Team>
__device__ __forceinline__ void push_partials(const Me& me, Team& team, int branch, int head, int first_warp,
                                              int worker) {
    constexpr int kWidth = Me::kWidth;
    for (int i = worker; i < kHeadTile * kWidth; i += kWorkers) {
        const int h = i / kWidth;
        const int c = i % kWidth;
        if (head + h >= me.heads()) break;
        float2 stats[kWarps];
        Merge total;
#pragma unroll
        for (int warp = 0; warp < kWarps; ++warp) {
            const int at = me.at().warp_stats + ((first_warp + warp) * kHeadTile + h) * 2;
            stats[warp] = *reinterpret_cast<const float2*>(me.floats(at));
            total.see(stats[warp].x);
        }
        const float* out = me.floats(me.at().warp_out) + (first_warp * kHeadTile + h) * kWidth + c;
        float sum = 0.0F;
#pragma unroll
        for (int warp = 0; warp < kWarps; ++warp) {
            const float weight = total.weight(stats[warp].x);
            total.sum = fmaf(weight, stats[warp].y, total.sum);
            sum = fmaf(weight, out[warp * kHeadTile * kWidth], sum);
        }
        const int at = me.partial(head + h, branch, me.split);
        team.push(me.owner(head + h), at + 4 + c, sum);
        if (c == 0) {
            int keys = 0;
#pragma unroll
            for (int warp = 0; warp < kWarps; ++warp)
                keys += me.ints(me.at().warp_keys)[first_warp + warp];
            team.push(me.owner(head + h), at,
                      make_float4(total.max, total.sum, static_cast<float>(keys), 0.0F));
        }
        if (branch == 0 && c < team.copies(me.at().splits)) {
            const int to = me.inbox(me.at().stats) + (me.split * me.at().head_slots + head + h) * 2;
            team.push(me.first_rank(me.group) + c, to, total.max);
            team.push(me.first_rank(me.group) + c, to + 1, total.sum);
        }
    }
}

// Hands the scores of this rank's compressed tokens, for one tile of heads, to the whole group.
template <class Me, class Team>
__device__ __forceinline__ void push_scores(const Me& me, Team& team, int head, const Share& share) {
    const unsigned copies = static_cast<unsigned>(team.copies(me.at().splits));
    const unsigned count = static_cast<unsigned>(share.end - share.begin) * copies;
    const float4* own = reinterpret_cast<const float4*>(me.floats(me.at().own_scores));
    for (unsigned i = threadIdx.x; i < count; i += kStepThreads) {
        const int token = static_cast<int>(i / copies);
        team.push(me.first_rank(me.group) + static_cast<int>(i % copies),
                  me.scores(share.begin + token) + head, own[token]);
    }
}

}  // namespace nsa::core::cuda::step
