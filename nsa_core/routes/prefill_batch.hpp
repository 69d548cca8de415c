// A batch of sequences in the kernels' terms.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "nsa_core/config.hpp"
#include "nsa_core/cuda/prefill/params.hpp"
#include "nsa_core/routes/cuda_prefill.hpp"

namespace nsa::core {

struct PrefillBatch {
    cuda::PrefillShape shape;
    cuda::Sequences sequences;    // points into the packing
    std::int64_t batch = 0;       // of the tensors: 1 when packed
    std::int64_t length = 0;      // of their token axis
    std::int64_t compressed = 0;  // of the compressed ones

    /// `like` [B,any,S,any] says batch, length and type, the configuration all else. Throws InputError for
    /// another type than fp16 and bf16, and for packed sequences that are no batch of 1. Whether kernels take
    /// the shape is theirs to say.
    [[nodiscard]] static PrefillBatch of(const NsaConfig& config, const at::Tensor& like,
                                         const std::optional<Packing>& packing);
};

}  // namespace nsa::core
