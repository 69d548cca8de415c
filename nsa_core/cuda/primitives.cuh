// What all kernels share beside the PTX: the element types of tensor-core operands, and a thread's place.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "nsa_core/cuda/ptx.cuh"

namespace nsa::core::cuda {

inline constexpr int kWarpSize = 32;
inline constexpr float kLog2E = 1.44269504088896340736F;
inline constexpr float kLn2 = 0.69314718055994530942F;
// Where a running maximum starts: finite, so that (maximum - maximum) is never inf - inf.
inline constexpr float kFloor = -1e30F;

template <class T>
struct Half;  // of an operand type: conversions

template <>
struct Half<__nv_bfloat16> {
    static __host__ __device__ float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }
    static __host__ __device__ __nv_bfloat16 from_float(float x) { return __float2bfloat16_rn(x); }
    static __device__ std::uint32_t pack(float low, float high) {
        const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
        return *reinterpret_cast<const std::uint32_t*>(&pair);
    }
    static __device__ float2 unpack(std::uint32_t bits) {
        return __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(&bits));
    }
};

template <>
struct Half<__half> {
    static __host__ __device__ float to_float(__half x) { return __half2float(x); }
    static __host__ __device__ __half from_float(float x) { return __float2half_rn(x); }
    static __device__ std::uint32_t pack(float low, float high) {
        const __half2 pair = __floats2half2_rn(low, high);
        return *reinterpret_cast<const std::uint32_t*>(&pair);
    }
    static __device__ float2 unpack(std::uint32_t bits) {
        return __half22float2(*reinterpret_cast<const __half2*>(&bits));
    }
};

// Unsigned division, so that the compiler knows the range.
__device__ __forceinline__ int lane_index() {
    return static_cast<int>(threadIdx.x % static_cast<unsigned>(kWarpSize));
}
__device__ __forceinline__ int warp_index() {
    return static_cast<int>(threadIdx.x / static_cast<unsigned>(kWarpSize));
}

__device__ __forceinline__ float quad_max(float x) {
    x = fmaxf(x, __shfl_xor_sync(0xffffffffU, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xffffffffU, x, 2));
}
__device__ __forceinline__ float quad_sum(float x) {
    x += __shfl_xor_sync(0xffffffffU, x, 1);
    return x + __shfl_xor_sync(0xffffffffU, x, 2);
}

}  // namespace nsa::core::cuda
