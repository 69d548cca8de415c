// Stage 1: the matrix-vector products that read x. Queries and the rows of this token go to the ranks of
// their group, the gate's hidden layer to all; rows are appended to the caches, and the compressed token that
// is complete now is emitted from the raw rows before it.
#pragma once

#include "nsa_core/cuda/step/context.cuh"
#include "nsa_core/cuda/step/team.cuh"

namespace nsa::core::cuda::step {

// The unit of work is a pair of weight rows: components c and c + width/2 of one head, which a rotary
// position mixes; of the gate's hidden layer, rows c and c + 1.
struct RowPair {
    enum Kind : int { kQuery = -1, kGate = kProjections, kNone };
    int kind = kNone;  // kQuery, a StepProjection, kGate or kNone
    int head = 0;      // or group
    int c = 0;
};

template <int kWidth>
__device__ __forceinline__ int pair_count(const StepShape& s) {
    return (s.heads + kProjections * s.groups) * (kWidth / 2) + (s.gate_hidden + 1) / 2;
}

template <int kWidth>
__device__ __forceinline__ RowPair pair_at(const StepShape& s, int index) {
    constexpr unsigned kHalf = kWidth / 2;
    const unsigned heads = static_cast<unsigned>(s.heads);
    const unsigned groups = static_cast<unsigned>(s.groups);
    const unsigned head = static_cast<unsigned>(index) / kHalf;
    const int c = static_cast<int>(static_cast<unsigned>(index) % kHalf);
    if (head < heads) return {.kind = RowPair::kQuery, .head = static_cast<int>(head), .c = c};
    if (head < heads + kProjections * groups) {
        const unsigned row_head = head - heads;
        return {
            .kind = static_cast<int>(row_head / groups), .head = static_cast<int>(row_head % groups), .c = c};
    }
    const int row = 2 * (index - static_cast<int>((heads + kProjections * groups) * kHalf));
    return {.kind = row < s.gate_hidden ? static_cast<int>(RowPair::kGate) : static_cast<int>(RowPair::kNone),
            .head = 0,
            .c = row};
}

inline constexpr int kPairsInFlight = 3;  // the seed's layer has 2.75 pairs per warp of 16 ranks

// 256 columns of some row pairs and of x, on their way.
template <class Me>
struct PairBatch {
    static constexpr int kColumns = 256;
    float4 x[2];
    float4 w[kPairsInFlight][2][2];

    __device__ __forceinline__ void load(const Me& me, int first, int column) {
        const StepShape s = me.shape();
        const float4 zero = make_float4(0.0F, 0.0F, 0.0F, 0.0F);
#pragma unroll
        for (int i = 0; i < kPairsInFlight; ++i) {
            const RowPair pair = pair_at<Me::kWidth>(s, first + i * me.at().ranks * kStepWarps);
            const bool gate = pair.kind == RowPair::kGate;
            const float* weights = pair.kind == RowPair::kQuery ? me.p.weights.q
                                   : gate                       ? me.p.weights.gate_w1
                                          : me.p.weights.rows[min(pair.kind, kProjections - 1)];
            const float* row = weights + (pair.head * Me::kWidth + pair.c) * s.dim;
            const int other = (gate ? 1 : Me::kWidth / 2) * s.dim;
            const bool exists = pair.kind != RowPair::kNone;
            const bool other_exists = exists && (!gate || pair.c + 1 < s.gate_hidden);
#pragma unroll
            for (int part = 0; part < 2; ++part) {
                const int at = column + part * 128 + me.lane * 4;
                const bool inside = at < s.dim;
                w[i][0][part] = exists && inside ? __ldg(reinterpret_cast<const float4*>(row + at)) : zero;
                w[i][1][part] =
                    other_exists && inside ? __ldg(reinterpret_cast<const float4*>(row + other + at)) : zero;
            }
        }
#pragma unroll
        for (int part = 0; part < 2; ++part) {
            const int at = column + part * 128 + me.lane * 4;
            // x is written by the node before this one in a graph: no read-only cache.
            x[part] = at < s.dim ? *reinterpret_cast<const float4*>(me.p.x + at) : zero;
        }
    }

    __device__ __forceinline__ void add_to(float (&sum)[8]) const {
#pragma unroll
        for (int i = 0; i < kPairsInFlight; ++i) {
#pragma unroll
            for (int side = 0; side < 2; ++side)
                sum[2 * i + side] = dot4(w[i][side][1], x[1], dot4(w[i][side][0], x[0], sum[2 * i + side]));
        }
    }
};

// Sums 8 values over the warp; lane i ends with the total of value i/4.
__device__ __forceinline__ float sum_to_slots(const float (&v)[8], int lane) {
    const bool high16 = (lane & 16) != 0;
    float four[4];
#pragma unroll
    for (int i = 0; i < 4; ++i)
        four[i] = (high16 ? v[i + 4] : v[i]) + __shfl_xor_sync(kAllLanes, high16 ? v[i] : v[i + 4], 16);
    const bool high8 = (lane & 8) != 0;
    float two[2];
#pragma unroll
    for (int i = 0; i < 2; ++i)
        two[i] =
            (high8 ? four[i + 2] : four[i]) + __shfl_xor_sync(kAllLanes, high8 ? four[i] : four[i + 2], 8);
    const bool high4 = (lane & 4) != 0;
    float one = (high4 ? two[1] : two[0]) + __shfl_xor_sync(kAllLanes, high4 ? two[0] : two[1], 4);
    one += __shfl_xor_sync(kAllLanes, one, 2);
    return one + __shfl_xor_sync(kAllLanes, one, 1);
}

// The row pairs of one warp. begin() sends for the first weights, which depend on nothing; prefetch() for the
// raw rows of a compressed token that this step completes; finish() hands the results on, and store() appends
// them to the caches. In the end 4 lanes have one row's result.
template <class Me>
class Projection {
  public:
    static constexpr int kWidth = Me::kWidth;
    static constexpr int kHalf = kWidth / 2;

    __device__ __forceinline__ void begin(const Me& me) { batch_.load(me, first_pair(me), 0); }

    __device__ __forceinline__ void prefetch(const Me& me, const Position& now) {
        find_row(me, first_pair(me));
        sum_raw_column(me, now);
    }

    template <class Team>
    __device__ __forceinline__ void finish(const Me& me, Team& team, const Position& now) {
        const int count = pair_count<kWidth>(me.shape());
        int first = first_pair(me);
        float sum[8] = {};
        batch_.add_to(sum);
        for (;;) {
            for (int column = PairBatch<Me>::kColumns; column < me.shape().dim;
                 column += PairBatch<Me>::kColumns) {
                batch_.load(me, first, column);
                batch_.add_to(sum);
            }
            hand_on(me, team, now, sum_to_slots(sum, me.lane));
            first += kPairsInFlight * me.at().ranks * kStepWarps;
            if (first >= count) break;
            store(me, now);
            find_row(me, first);
            sum_raw_column(me, now);
            batch_.load(me, first, 0);
#pragma unroll
            for (float& value : sum)
                value = 0.0F;
            batch_.add_to(sum);
        }
    }

    // Appends this lane's row to its cache, and the compressed token if one is complete. Nobody reads them
    // before the next step: after the barrier's arrival, so that it does not wait for these writes.
    __device__ __forceinline__ void store(const Me& me, const Position& now) const {
        if (me.lane % 4 != 0 || !is_row()) return;
        const StepRows& rows = is_raw() ? me.p.raw : row_.kind <= kSelectedValue ? me.p.sel : me.p.win;
        cache(rows)[static_cast<std::int64_t>(now.t) * kWidth + component()] = row_value_;
        if (!is_raw() || !now.emits) return;
        cache(me.p.cmp)[static_cast<std::int64_t>(now.compressed - 1) * kWidth + component()] = mean_;
    }

  private:
    // Ranks vary fastest, so that all of them read about the same number of bytes.
    static __device__ __forceinline__ int first_pair(const Me& me) {
        return me.warp * me.at().ranks + me.rank;
    }

    // The row of this lane.
    __device__ __forceinline__ void find_row(const Me& me, int first) {
        const int slot = me.lane / 4;
        side_ = slot % 2;
        row_ = pair_at<kWidth>(me.shape(), first + slot / 2 * me.at().ranks * kStepWarps);
        if (slot >= 2 * kPairsInFlight) row_.kind = RowPair::kNone;
        if (row_.kind == RowPair::kGate && row_.c + side_ >= me.shape().gate_hidden)
            row_.kind = RowPair::kNone;
    }

    __device__ __forceinline__ bool is_row() const {
        return row_.kind >= 0 && row_.kind < kProjections;
    }
    __device__ __forceinline__ bool is_raw() const {
        return row_.kind == kRawKey || row_.kind == kRawValue;
    }
    __device__ __forceinline__ bool is_key() const {
        return row_.kind % 2 == 0;
    }
    // Component within the head.
    __device__ __forceinline__ int component() const {
        return row_.c + side_ * kHalf;
    }

    // The group's rows in the cache that this lane's row is appended to.
    __device__ __forceinline__ float* cache(const StepRows& rows) const {
        return is_key() ? rows.k + row_.head * rows.group_stride_k : rows.v + row_.head * rows.group_stride_v;
    }

    // This lane's part of the sum over the l - 1 raw rows before this token. Eight rows at a time are on
    // their way before the first is used: a loop that took them in turn went with 3,000 clocks more.
    __device__ __forceinline__ void sum_raw_column(const Me& me, const Position& now) {
        constexpr int kAtOnce = 8;
        column_ = 0.0F;
        if (!now.emits || !is_raw()) return;
        const int l = me.shape().l;
        const float* rows = cache(me.p.raw) + static_cast<std::int64_t>(now.t) * kWidth + component();
        for (int begin = 1 + me.lane % 4; begin < l; begin += 4 * kAtOnce) {
            float value[kAtOnce];
#pragma unroll
            for (int i = 0; i < kAtOnce; ++i)
                value[i] = begin + 4 * i < l ? __ldcg(rows - (begin + 4 * i) * kWidth) : 0.0F;
#pragma unroll
            for (int i = 0; i < kAtOnce; ++i)
                column_ += value[i];
        }
    }

    // Turns the pair by the rotary angle of position t; `other` is the other component.
    __device__ __forceinline__ float rotated(const StepParams& p, int t, float value, float other) const {
        double sine;
        double cosine;
        // In fp64 and in half turns: the reduction of a large angle is then exact.
        sincospi(p.weights.half_turns[row_.c] * static_cast<double>(t), &sine, &cosine);
        const float turn = side_ == 0 ? -static_cast<float>(sine) : static_cast<float>(sine);
        return value * static_cast<float>(cosine) + other * turn;
    }

    template <class Team>
    __device__ __forceinline__ void hand_on(const Me& me, Team& team, const Position& now, float value) {
        const float other = __shfl_xor_sync(kAllLanes, value, 4);
        float column = column_ + __shfl_xor_sync(kAllLanes, column_, 1);
        column += __shfl_xor_sync(kAllLanes, column, 2);
        if (row_.kind == RowPair::kNone) return;
        const bool turns = row_.kind != RowPair::kGate && (row_.kind == RowPair::kQuery || is_key());
        if (me.shape().rope && turns) value = rotated(me.p, now.t, value, other);

        int first_rank = 0;
        int ranks = me.at().ranks;
        int at = 0;
        if (row_.kind == RowPair::kGate) {
            at = me.at().hidden + row_.c + side_;
            value += me.p.weights.gate_b1[row_.c + side_];
            value = __fdividef(value, 1.0F + expf(-value));
        } else {
            const bool query = row_.kind == RowPair::kQuery;
            const int group =
                query ? static_cast<int>(static_cast<unsigned>(row_.head) / me.heads()) : row_.head;
            if (query) {
                at = me.inbox(me.at().q, group) + (row_.head - group * me.heads()) * kWidth + component();
            } else {
                row_value_ = value;
                if (is_raw()) {  // seen through the compressed token only
                    if (!now.emits) return;
                    value = mean_ = (value + column) / static_cast<float>(me.shape().l);
                }
                at = me.inbox(fresh(me.at()), group) + component();
            }
            first_rank = me.first_rank(group);
            ranks = me.at().splits;
        }
        for (int i = me.lane % 4; i < team.copies(ranks); i += 4)
            team.push(first_rank + i, at, value);
    }

    __device__ __forceinline__ int fresh(const StepLayout& at) const {
        const int k = row_.kind <= kRawValue        ? at.fresh_k[0]
                      : row_.kind <= kSelectedValue ? at.fresh_k[1]
                                                    : at.fresh_k[2];
        return is_key() ? k : k + at.fresh_v[0] - at.fresh_k[0];
    }

    PairBatch<Me> batch_;
    RowPair row_;
    int side_ = 0;
    float column_ = 0.0F;
    float row_value_ = 0.0F;  // to be cached
    float mean_ = 0.0F;
};

}  // namespace nsa::core::cuda::step
