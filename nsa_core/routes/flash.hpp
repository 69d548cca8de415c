// LibTorch's FlashAttention-2 kernels, dense and packed, behind the layouts of attention.hpp.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "nsa_core/routes.hpp"

namespace nsa::core {

enum class FlashMask {
    kNone,    // every query sees every key
    kCausal,  // query i sees keys 0..i; needs as many queries as keys, where all alignments agree
    kWindow,  // query i sees keys i-window+1..i; as many queries as keys
};

/// q [B,H,queries,dk], k [B,G,keys,dk], v [B,G,keys,dv] in fp16 or bf16 on a CUDA device. `window` counts the
/// query's own key and is read for kWindow only. Route kFa2Dense or kFa2Varlen. Differentiable.
[[nodiscard]] at::Tensor flash_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                         FlashMask mask, std::int64_t window, double scale, Route route);

}  // namespace nsa::core
