// Softmax results that were computed apart, and how they become one: (maximum, sum, out) with out unnormalised. Always
// folded in the order of their index, so that a step gives the same bits each time.
#pragma once

#include "nsa_core/cuda/decode/warp_attention.cuh"

namespace nsa::core::cuda {

/// The result of one thread block in shared memory.
template <int kDv>
struct BlockPartial {
    float out[kTileHeads][kDv];
    float maximum[kTileHeads];
    float sum[kTileHeads];
};

/// Folds the warps' results into `result`, which lies at least kDecodeWarps results behind the start of `rings`, the
/// shared memory of all rings. Barriers of the whole block inside: the warps need not have finished with their rings
/// on entry; on return `result` is complete and the rings are free.
template <class T, int kDk, int kDv>
__device__ __forceinline__ void fold_warps(const WarpAttention<T, kDk, kDv>& attention, void* rings,
                                           BlockPartial<kDv>& result) {
    const int lane = threadIdx.x % kWarpSize;
    const int warp = threadIdx.x / kWarpSize;
    auto* parts = static_cast<BlockPartial<kDv>*>(rings);  // one a warp
    __syncthreads();
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const int head = lane / 4 + 8 * half;
        const float total = quad_sum(attention.sum[half]);
        if (lane % 4 == 0) {
            parts[warp].maximum[head] = attention.maximum[half];
            parts[warp].sum[head] = total;
        }
#pragma unroll
        for (int tile = 0; tile < kDv / 8; ++tile) {
            *reinterpret_cast<float2*>(&parts[warp].out[head][tile * 8 + (lane % 4) * 2]) =
                make_float2(attention.out[tile][2 * half], attention.out[tile][2 * half + 1]);
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < kTileHeads * kDv; i += blockDim.x) {
        const int head = i / kDv;
        const int column = i % kDv;
        float largest = parts[0].maximum[head];
        for (int w = 1; w < kDecodeWarps; ++w)
            largest = fmaxf(largest, parts[w].maximum[head]);
        float out = 0.0F;
        float sum = 0.0F;
        for (int w = 0; w < kDecodeWarps; ++w) {
            const float weight = exp2_fast(parts[w].maximum[head] - largest);
            out += weight * parts[w].out[head][column];
            sum += weight * parts[w].sum[head];
        }
        result.out[head][column] = out;
        if (column == 0) {
            result.maximum[head] = largest;
            result.sum[head] = sum;
        }
    }
    __syncthreads();
}

}  // namespace nsa::core::cuda
