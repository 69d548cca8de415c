// Online softmax over accumulators that the lanes of a quad share: c[m][n][2 * half + i] is row
// 16 m + 8 half + lane/4.
#pragma once

#include <cmath>

#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {

/// What the rows' weights are relative to, in log2 units: their running maximum, or up to kMaximumSlack below
/// it; and this lane's share of the running sum.
template <int kM>
struct RowStates {
    float maximum[kM][2];
    float sum[kM][2];

    __device__ __forceinline__ void restart() {
#pragma unroll
        for (int m = 0; m < kM; ++m)
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                maximum[m][half] = kFloor;
                sum[m][half] = 0.0F;
            }
    }
};

// How far scores may lie above a running maximum, in log2 units, before it follows: weights up to 2^8 are as
// exact as those up to 1, and sums are seldom rescaled.
inline constexpr float kMaximumSlack = 8.0F;

/// Maxima follow raw scores that outgrow them by more than kMaximumSlack, and so do the sums. True, for the
/// whole warp, when one grew: sums of values are then to be multiplied by `shrink`. Hidden scores are -inf.
/// `log2_scale` is above 0.
template <int kM, int kN>
__device__ __forceinline__ bool raise_maxima(const float (&s)[kM][kN][4], RowStates<kM>& rows,
                                             float (&shrink)[kM][2], float log2_scale) {
    bool grows = false;
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            float largest = -INFINITY;
#pragma unroll
            for (int n = 0; n < kN; ++n)
                largest = fmaxf(largest, fmaxf(s[m][n][2 * half], s[m][n][2 * half + 1]));
            const float scaled = quad_max(largest) * log2_scale;
            const bool follows = scaled > rows.maximum[m][half] + kMaximumSlack;
            const float next = follows ? scaled : rows.maximum[m][half];
            grows = grows || follows;
            shrink[m][half] = rows.maximum[m][half] - next;
            rows.maximum[m][half] = next;
        }
    if (!__any_sync(0xffffffffU, grows)) return false;
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            shrink[m][half] = exp2_fast(shrink[m][half]);
            rows.sum[m][half] *= shrink[m][half];
        }
    return true;
}

/// Raw scores become exp2(log2_scale s - maximum), and the sums grow by them. Hidden scores become 0, also in
/// a row that has seen none yet.
template <int kM, int kN>
__device__ __forceinline__ void exponentiate(float (&s)[kM][kN][4], RowStates<kM>& rows, float log2_scale) {
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
#pragma unroll
            for (int n = 0; n < kN; ++n)
#pragma unroll
                for (int i = 2 * half; i < 2 * half + 2; ++i) {
                    s[m][n][i] = exp2_fast(fmaf(s[m][n][i], log2_scale, -rows.maximum[m][half]));
                    rows.sum[m][half] += s[m][n][i];
                }
        }
}

template <int kM, int kTiles>
__device__ __forceinline__ void scale_rows(float (&c)[kM][kTiles][4], const float (&scale)[kM][2]) {
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int n = 0; n < kTiles; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i)
                c[m][n][i] *= scale[m][i / 2];
}

/// A step of the online softmax: scores become weights relative to the maxima, which `out` follows.
template <int kM, int kN, int kTiles>
__device__ __forceinline__ void soften(float (&s)[kM][kN][4], RowStates<kM>& rows,
                                       float (&out)[kM][kTiles][4], float log2_scale) {
    float shrink[kM][2];
    if (raise_maxima(s, rows, shrink, log2_scale)) scale_rows(out, shrink);
    exponentiate(s, rows, log2_scale);
}

}  // namespace nsa::core::cuda
