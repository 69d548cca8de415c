// What primitives.cuh lacks and only the step needs.
#pragma once

#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda::step {

// 16 or 4 bytes from global to shared memory, in the background.
__device__ __forceinline__ void copy_four_async(float* to, const float* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from) : "memory");
}
__device__ __forceinline__ void copy_word_async(float* to, const float* from) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(shared_address(to)), "l"(from) : "memory");
}

}  // namespace nsa::core::cuda::step
