// Stage 1: the matrix-vector products that read x. Queries and the rows of this token go to the ranks of
// their group, the gate's hidden layer to all; rows are appended to the caches, and the compressed token that
// is complete now is emitted from the raw rows before it.
#pragma once

#include "nsa_core/cuda/step/context.cuh"
#include "nsa_core/cuda/step/team.cuh"

namespace nsa::core::cuda::step {

inline constexpr int kPairsInFlight = 3;  // the seed's shape has 2.75 pairs per warp of 16 ranks

// Two rows of a weight matrix: components c and c + width/2 of one head, which a rotary position mixes; of
// the gate's hidden layer, rows 2c and 2c + 1.
struct RowPair {
    enum Kind : int { kQuery = -1, kRow = 0, kGate = kProjections, kNone };
    int kind = kNone;  // kQuery, a StepProjection, kGate, kNone
    int head = 0;      // or group
    int c = 0;
    const float* row[2] = {nullptr, nullptr};  // null: no such row
};

template <int kWidth>
__device__ __forceinline__ int pair_count(const StepShape& s) {
    return (s.heads + kProjections * s.groups) * (kWidth / 2) + (s.gate_hidden + 1) / 2;
}

template <int kWidth>
__device__ __forceinline__ RowPair pair_at(const StepParams& p, int index) {
    constexpr int kHalf = kWidth / 2;
    const StepShape& s = p.shape;
    const int heads = s.heads + kProjections * s.groups;
    RowPair pair;
    const int head = index / kHalf;
    pair.c = index % kHalf;
    if (head < heads) {
        const int row_head = head - s.heads;
        pair.kind = row_head < 0 ? static_cast<int>(RowPair::kQuery) : row_head / s.groups;
        pair.head = row_head < 0 ? head : row_head % s.groups;
        const float* weights = row_head < 0 ? p.weights.q : p.weights.rows[pair.kind];
        pair.row[0] = weights + static_cast<std::int64_t>(pair.head * kWidth + pair.c) * s.dim;
        pair.row[1] = pair.row[0] + static_cast<std::int64_t>(kHalf) * s.dim;
        return pair;
    }
    const int row = 2 * (index - heads * kHalf);
    if (row >= s.gate_hidden) return pair;
    pair.kind = RowPair::kGate;
    pair.c = row;
    pair.row[0] = p.weights.gate_w1 + static_cast<std::int64_t>(row) * s.dim;
    if (row + 1 < s.gate_hidden) pair.row[1] = pair.row[0] + s.dim;
    return pair;
}

// 256 columns of some row pairs and of x, on their way.
struct PairBatch {
    static constexpr int kColumns = 256;
    float4 x[2];
    float4 w[kPairsInFlight][2][2];

    __device__ __forceinline__ void load(const StepParams& p, const RowPair (&pairs)[kPairsInFlight],
                                         int column, int lane) {
        const float4 zero = make_float4(0.0F, 0.0F, 0.0F, 0.0F);
#pragma unroll
        for (int part = 0; part < 2; ++part) {
            const int at = column + part * 128 + lane * 4;
            const bool inside = at < p.shape.dim;
#pragma unroll
            for (int i = 0; i < kPairsInFlight; ++i) {
#pragma unroll
                for (int side = 0; side < 2; ++side) {
                    const float* row = pairs[i].row[side];
                    w[i][side][part] =
                        row != nullptr && inside ? __ldg(reinterpret_cast<const float4*>(row + at)) : zero;
                }
            }
            // x is written by the node before this one in a graph: no read-only cache.
            x[part] = inside ? *reinterpret_cast<const float4*>(p.x + at) : zero;
        }
    }

    __device__ __forceinline__ void add_to(float (&sum)[kPairsInFlight][2]) const {
#pragma unroll
        for (int i = 0; i < kPairsInFlight; ++i) {
#pragma unroll
            for (int side = 0; side < 2; ++side)
                sum[i][side] = dot4(w[i][side][1], x[1], dot4(w[i][side][0], x[0], sum[i][side]));
        }
    }
};

// Turns components c and c + width/2 by the rotary angle of position t.
__device__ __forceinline__ void rotate(const StepParams& p, int t, int c, float& low, float& high) {
    if (!p.shape.rope) return;
    double sine;
    double cosine;
    // In fp64 and in half turns: the reduction of a large angle is then exact.
    sincospi(p.weights.half_turns[c] * static_cast<double>(t), &sine, &cosine);
    const float old_low = low;
    low = old_low * static_cast<float>(cosine) - high * static_cast<float>(sine);
    high = high * static_cast<float>(cosine) + old_low * static_cast<float>(sine);
}

// Sum of component c over the l - 1 raw rows before token t, in every lane. `rows` begins at the group.
template <int kWidth>
__device__ __forceinline__ float raw_column_sum(const float* rows, int t, int l, int c, int lane) {
    float sum = 0.0F;
    for (int back = 1 + lane; back < l; back += 32)
        sum += rows[static_cast<std::int64_t>(t - back) * kWidth + c];
    return warp_sum(sum);
}

// Rows of a projection: where they are cached, and the branch whose ranks wait for them.
__device__ __forceinline__ const StepRows& rows_of(const StepParams& p, int projection) {
    return projection <= kRawValue ? p.raw : projection <= kSelectedValue ? p.sel : p.win;
}

template <int kWidth, class Team>
__device__ __forceinline__ void append(const Context& me, Team& team, const Position& now, int projection,
                                       int group, int c, float low, float high) {
    const StepShape& s = me.shape();
    const StepRows& rows = rows_of(me.p, projection);
    const bool is_key = projection % 2 == 0;
    const int branch = projection / 2;
    float* cache = is_key ? rows.k + group * rows.group_stride_k : rows.v + group * rows.group_stride_v;
    const std::int64_t row = static_cast<std::int64_t>(now.t) * kWidth;
    if (me.lane < 2) cache[row + c + me.lane * (kWidth / 2)] = me.lane == 0 ? low : high;

    if (branch == 0) {  // raw rows are seen through the compressed token only
        if (!now.emits) return;
        low = (low + raw_column_sum<kWidth>(cache, now.t, s.l, c, me.lane)) / static_cast<float>(s.l);
        high = (high + raw_column_sum<kWidth>(cache, now.t, s.l, c + kWidth / 2, me.lane)) /
               static_cast<float>(s.l);
        float* cmp = is_key ? me.p.cmp.k + group * me.p.cmp.group_stride_k
                            : me.p.cmp.v + group * me.p.cmp.group_stride_v;
        const std::int64_t token = static_cast<std::int64_t>(now.compressed - 1) * kWidth;
        if (me.lane < 2) cmp[token + c + me.lane * (kWidth / 2)] = me.lane == 0 ? low : high;
    }
    const int at = me.inbox(is_key ? me.at.fresh_k[branch] : me.at.fresh_v[branch], group) + c;
    team.share(me.first_rank(group), me.at.splits, me.lane, 32, at, low);
    team.share(me.first_rank(group), me.at.splits, me.lane, 32, at + kWidth / 2, high);
}

// Hands on one finished pair; every lane holds both sums.
template <int kWidth, class Team>
__device__ __forceinline__ void finish_pair(const Context& me, Team& team, const Position& now,
                                            const RowPair& pair, float low, float high) {
    if (pair.kind == RowPair::kNone) return;
    if (pair.kind == RowPair::kGate) {
        const float sums[2] = {low, high};
#pragma unroll
        for (int side = 0; side < 2; ++side) {
            if (pair.row[side] == nullptr) continue;
            const float z = sums[side] + me.p.weights.gate_b1[pair.c + side];
            team.share(0, me.at.ranks, me.lane, 32, me.at.hidden + pair.c + side, z / (1.0F + expf(-z)));
        }
        return;
    }
    if (pair.kind == RowPair::kQuery) {
        rotate(me.p, now.t, pair.c, low, high);
        const int group = pair.head / me.heads();
        const int at = me.inbox(me.at.q, group) + pair.head % me.heads() * kWidth + pair.c;
        team.share(me.first_rank(group), me.at.splits, me.lane, 32, at, low);
        team.share(me.first_rank(group), me.at.splits, me.lane, 32, at + kWidth / 2, high);
        return;
    }
    if (pair.kind % 2 == 0) rotate(me.p, now.t, pair.c, low, high);
    append<kWidth>(me, team, now, pair.kind, pair.head, pair.c, low, high);
}

// The row pairs of one warp. begin() sends for the first weights, which depend on nothing; finish() does the
// rest.
template <int kWidth>
class Projection {
  public:
    __device__ __forceinline__ void begin(const Context& me) {
        find_pairs(me, first_pair(me));
        batch_.load(me.p, pairs_, 0, me.lane);
    }

    template <class Team>
    __device__ __forceinline__ void finish(const Context& me, Team& team, const Position& now) {
        const int warps = me.at.ranks * kStepWarps;
        const int count = pair_count<kWidth>(me.shape());
        bool loaded = true;
        for (int first = first_pair(me); first < count; first += kPairsInFlight * warps) {
            if (!loaded) find_pairs(me, first);
            float sum[kPairsInFlight][2] = {};
            for (int column = 0; column < me.shape().dim; column += PairBatch::kColumns) {
                if (!loaded) batch_.load(me.p, pairs_, column, me.lane);
                loaded = false;
                batch_.add_to(sum);
            }
#pragma unroll
            for (int i = 0; i < kPairsInFlight; ++i)
                finish_pair<kWidth>(me, team, now, pairs_[i], warp_sum(sum[i][0]), warp_sum(sum[i][1]));
        }
    }

  private:
    // Ranks vary fastest, so that all of them read about the same number of bytes.
    static __device__ __forceinline__ int first_pair(const Context& me) {
        return me.warp * me.at.ranks + me.rank;
    }

    __device__ __forceinline__ void find_pairs(const Context& me, int first) {
        const int count = pair_count<kWidth>(me.shape());
#pragma unroll
        for (int i = 0; i < kPairsInFlight; ++i) {
            const int index = first + i * me.at.ranks * kStepWarps;
            pairs_[i] = index < count ? pair_at<kWidth>(me.p, index) : RowPair{};
        }
    }

    RowPair pairs_[kPairsInFlight];
    PairBatch batch_;
};

}  // namespace nsa::core::cuda::step
