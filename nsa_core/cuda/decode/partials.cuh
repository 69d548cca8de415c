// Softmax results that were computed apart, and how they become one: (maximum, sum, out) with out
// unnormalised and maximum in log2 units. Always folded in the order of their index, so that a step gives the
// same bits each time.
#pragma once

#include "nsa_core/cuda/decode/warp_attention.cuh"

namespace nsa::core::cuda {

/// The result of one thread block, in shared memory.
template <int kDv>
struct alignas(16) BlockPartial {
    float out[kTileHeads][kDv];
    float maximum[kTileHeads];
    float sum[kTileHeads];
};

/// What the warps say of their results before they write them.
struct WarpScales {
    float maximum[kDecodeWarps][kTileHeads];
    float sum[kDecodeWarps][kTileHeads];
};

/// The warps' outputs, brought to one maximum. Rows are padded: the rows of a lane group fall into different
/// banks.
template <int kDv>
struct alignas(16) WarpOutputs {
    float out[kDecodeWarps][kTileHeads][kDv + 8];
};

/// Folds the warps' results into `result`. `outputs` may lie where the rings are: the first barrier inside
/// ends their use. Complete, and `outputs` free, on return.
template <class T, int kDk, int kDv>
__device__ __forceinline__ void fold_warps(const WarpAttention<T, kDk, kDv>& attention, WarpScales& scales,
                                           WarpOutputs<kDv>& outputs, BlockPartial<kDv>& result) {
    const int lane = lane_index();
    const int warp = warp_index();
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const float total = quad_sum(attention.sum[half]);
        if (lane % 4 == 0) {
            scales.maximum[warp][lane / 4 + 8 * half] = attention.maximum[half];
            scales.sum[warp][lane / 4 + 8 * half] = total;
        }
    }
    __syncthreads();
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const int head = lane / 4 + 8 * half;
        float largest = scales.maximum[0][head];
        for (int w = 1; w < kDecodeWarps; ++w)
            largest = fmaxf(largest, scales.maximum[w][head]);
        const float shrink = exp2_fast(attention.maximum[half] - largest);
#pragma unroll
        for (int tile = 0; tile < kDv / 8; ++tile) {
            *reinterpret_cast<float2*>(&outputs.out[warp][head][tile * 8 + (lane % 4) * 2]) = make_float2(
                attention.out[tile][2 * half] * shrink, attention.out[tile][2 * half + 1] * shrink);
        }
        if (warp == 0 && lane % 4 == 0) {
            float sum = 0.0F;
            for (int w = 0; w < kDecodeWarps; ++w)
                sum += scales.sum[w][head] * exp2_fast(scales.maximum[w][head] - largest);
            result.maximum[head] = largest;
            result.sum[head] = sum;
        }
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kTileHeads * kDv / 4 / (kDecodeWarps * kWarpSize); ++i) {
        const int at = i * kDecodeWarps * kWarpSize + static_cast<int>(threadIdx.x);
        const int head = at / (kDv / 4);
        const int column = at % (kDv / 4) * 4;
        float4 total = *reinterpret_cast<const float4*>(&outputs.out[0][head][column]);
        for (int w = 1; w < kDecodeWarps; ++w) {
            const float4 part = *reinterpret_cast<const float4*>(&outputs.out[w][head][column]);
            total.x += part.x;
            total.y += part.y;
            total.z += part.z;
            total.w += part.w;
        }
        *reinterpret_cast<float4*>(&result.out[head][column]) = total;
    }
    __syncthreads();
}

}  // namespace nsa::core::cuda
