// The instances: one file each in instances/, so that they compile side by side.
#pragma once

#include <driver_types.h>

#include "nsa_core/cuda/prefill/prefill.hpp"

namespace nsa::core::cuda {

using LaunchDenseForward = cudaError_t(const DenseForward&, cudaStream_t);
using LaunchDenseBackward = cudaError_t(const DenseBackward&, const DensePlan&, cudaStream_t, DensePart);

LaunchDenseForward dense_forward_bf16_32_32, dense_forward_bf16_64_64, dense_forward_bf16_96_96,
    dense_forward_bf16_128_128, dense_forward_bf16_192_128;
LaunchDenseForward dense_forward_fp16_32_32, dense_forward_fp16_64_64, dense_forward_fp16_96_96,
    dense_forward_fp16_128_128, dense_forward_fp16_192_128;
LaunchDenseBackward dense_backward_bf16_32_32, dense_backward_bf16_64_64, dense_backward_bf16_96_96,
    dense_backward_bf16_128_128, dense_backward_bf16_192_128;
LaunchDenseBackward dense_backward_fp16_32_32, dense_backward_fp16_64_64, dense_backward_fp16_96_96,
    dense_backward_fp16_128_128, dense_backward_fp16_192_128;

using LaunchMeanPool = cudaError_t(const MeanPool&, cudaStream_t);
using LaunchMeanPoolBackward = cudaError_t(const MeanPoolBackward&, cudaStream_t);
using LaunchSumPartials = cudaError_t(const DenseBackward&, int splits, cudaStream_t);
using LaunchCombine = cudaError_t(const Combine&, cudaStream_t);
using LaunchCombineBackward = cudaError_t(const CombineBackward&, cudaStream_t);

LaunchMeanPool mean_pool_bf16, mean_pool_fp16;
LaunchMeanPoolBackward mean_pool_backward_bf16, mean_pool_backward_fp16;
LaunchSumPartials sum_partials_bf16, sum_partials_fp16;
LaunchCombine combine_bf16, combine_fp16;
LaunchCombineBackward combine_backward_bf16, combine_backward_fp16;

}  // namespace nsa::core::cuda
