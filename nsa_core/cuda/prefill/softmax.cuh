// Online softmax over accumulators that the lanes of a quad share: c[m][n][2 * half + i] is row
// 16 m + 8 half + lane/4.
#pragma once

#include <cmath>

#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {

/// The rows' running maximum in log2 units, and this lane's share of the running sum.
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

/// Raw scores become exp2(log2_scale s - maximum); `out` and the sums follow when a maximum grows. Hidden
/// scores are -inf and become 0, also in a row that has seen none yet. `log2_scale` is above 0.
template <int kM, int kN, int kTiles>
__device__ __forceinline__ void soften(float (&s)[kM][kN][4], RowStates<kM>& rows,
                                       float (&out)[kM][kTiles][4], float log2_scale) {
    float next[kM][2];
    bool grows = false;
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            float largest = -INFINITY;
#pragma unroll
            for (int n = 0; n < kN; ++n)
                largest = fmaxf(largest, fmaxf(s[m][n][2 * half], s[m][n][2 * half + 1]));
            next[m][half] = fmaxf(rows.maximum[m][half], quad_max(largest) * log2_scale);
            grows = grows || next[m][half] > rows.maximum[m][half];
        }
    if (__any_sync(0xffffffffU, grows)) {
#pragma unroll
        for (int m = 0; m < kM; ++m)
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const float shrink = exp2_fast(rows.maximum[m][half] - next[m][half]);
                rows.maximum[m][half] = next[m][half];
                rows.sum[m][half] *= shrink;
#pragma unroll
                for (int n = 0; n < kTiles; ++n) {
                    out[m][n][2 * half] *= shrink;
                    out[m][n][2 * half + 1] *= shrink;
                }
            }
    }
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

}  // namespace nsa::core::cuda
