// Learnable compression on route `cuda`: the kernels of nsa_core/cuda/compress on tensors, forward and
// backward, without autograd (cuda_compression_autograd.hpp). Layouts, strides, streams and scratch are those
// of cuda_prefill.hpp.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "nsa_core/attention.hpp"
#include "nsa_core/config.hpp"
#include "nsa_core/keys_values.hpp"
#include "nsa_core/routes/cuda_prefill.hpp"
#include "nsa_core/routes/prefill_batch.hpp"
#include "nsa_core/routes/prefill_kernels.hpp"

namespace nsa::core {

class CudaCompression {
  public:
    /// `like` as for CudaPrefill; dk, dv and phi_hidden of the configuration are multiples of 8. Throws
    /// InputError when the kernels do not take the shape.
    CudaCompression(const NsaConfig& config, const at::Tensor& like, std::optional<Packing> packing,
                    const PrefillKernels& kernels);

    struct Result {
        KeysValues out;  // [B,G,compressed,c]
        KeysValues pre;  // [rows, phi_hidden]: the hidden numbers before silu, which the backward wants
    };
    [[nodiscard]] Result forward(const KeysValues& rows, const PhiPair& phi) const;

    struct Gradients {
        KeysValues rows;
        PhiPair phi;
    };
    [[nodiscard]] Gradients backward(const KeysValues& rows, const PhiPair& phi, const KeysValues& pre,
                                     const KeysValues& d_out) const;

  private:
    [[nodiscard]] at::Tensor empty_rows(std::int64_t length, std::int64_t width) const;
    [[nodiscard]] at::Tensor empty_hidden() const;
    struct Scratch {
        at::Tensor d_pre, act, parts;
    };
    [[nodiscard]] Scratch scratch_of(const cuda::CompressPlan& plan, int side) const;

    std::optional<Packing> packing_;
    PrefillBatch batch_;
    int hidden_;
    at::TensorOptions options_;
    const PrefillKernels& kernels_;
};

}  // namespace nsa::core
