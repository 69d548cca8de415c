// The instances with wgmma: one file each in instances/, compiled for sm_90a alone.
#pragma once

#include <driver_types.h>

#include "nsa_core/cuda/prefill/prefill.hpp"

namespace nsa::core::cuda {

struct WarpgroupForward {
    bool (*takes)(KernelPath);  // does a launch by this path, on the current device, take it?
    cudaError_t (*launch)(const DenseForward&, cudaStream_t);
};

extern const WarpgroupForward warpgroup_forward_bf16_64_64, warpgroup_forward_bf16_128_128,
    warpgroup_forward_bf16_192_128;
extern const WarpgroupForward warpgroup_forward_fp16_64_64, warpgroup_forward_fp16_128_128,
    warpgroup_forward_fp16_192_128;

struct WarpgroupBackward {
    bool (*takes)(KernelPath);
    cudaError_t (*launch)(const DenseBackward&, const DensePlan&, cudaStream_t, DensePart);
};

extern const WarpgroupBackward warpgroup_backward_bf16_64_64, warpgroup_backward_bf16_128_128,
    warpgroup_backward_bf16_192_128;
extern const WarpgroupBackward warpgroup_backward_fp16_64_64, warpgroup_backward_fp16_128_128,
    warpgroup_backward_fp16_192_128;

}  // namespace nsa::core::cuda
