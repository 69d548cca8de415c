// Who is who in a thread block of three warpgroups: two consumers, which own 64 rows of the result each, and
// the producers, who come last.
#pragma once

#include "nsa_core/cuda/prefill/boxes.cuh"
#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {

inline constexpr int kConsumers = 2;  // warpgroups
inline constexpr int kConsumerWarps = kConsumers * kWarpgroupThreads / kWarpSize;
inline constexpr int kRoleThreads = (kConsumers + 1) * kWarpgroupThreads;

// The same in all lanes, and for the compiler too: what follows from it is kept once for the warp.
__device__ __forceinline__ int warpgroup_index() {
    return __shfl_sync(0xffffffffU, static_cast<int>(threadIdx.x / kWarpgroupThreads), 0);
}
__device__ __forceinline__ int thread_of_warpgroup() {
    return static_cast<int>(threadIdx.x % kWarpgroupThreads);
}
/// Of 16 rows of the warpgroup's 64.
__device__ __forceinline__ int warp_of_warpgroup() {
    return __shfl_sync(0xffffffffU, static_cast<int>(threadIdx.x / kWarpSize % 4), 0);
}

}  // namespace nsa::core::cuda
