// The instances: one file each in instances/, so that they compile side by side.
#pragma once

#include <driver_types.h>

#include "nsa_core/cuda/decode/params.hpp"
#include "nsa_core/cuda/decode/plan.hpp"

namespace nsa::core::cuda {

using LaunchDecode = cudaError_t(const DecodeParams&, const DecodePlan&, cudaStream_t, DecodePart);

LaunchDecode decode_bf16_32_32, decode_bf16_64_64, decode_bf16_96_96, decode_bf16_128_128,
    decode_bf16_192_128;
LaunchDecode decode_fp16_32_32, decode_fp16_64_64, decode_fp16_96_96, decode_fp16_128_128,
    decode_fp16_192_128;

}  // namespace nsa::core::cuda
