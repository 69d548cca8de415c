// The instances: a file for each element type in instances/.
#pragma once

#include "nsa_core/cuda/compress/compress.hpp"

namespace nsa::core::cuda {

using LaunchCompressForward = cudaError_t(const CompressForward&, cudaStream_t);
using LaunchCompressBackward = cudaError_t(const CompressBackward&, const CompressPlan&, cudaStream_t,
                                           CompressPart);

LaunchCompressForward compress_forward_bf16, compress_forward_fp16;
LaunchCompressBackward compress_backward_bf16, compress_backward_fp16;

}  // namespace nsa::core::cuda
