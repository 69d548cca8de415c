// The functions of attention.hpp on Route::kCuda: whether the kernels take the tensors, then the call. Each
// throws InputError with the reason when they do not.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "nsa_core/attention.hpp"
#include "nsa_core/config.hpp"
#include "nsa_core/keys_values.hpp"

namespace nsa::core {

/// Then gated_attention is one function.
[[nodiscard]] bool all_on_cuda(const BranchExecutions& how);

[[nodiscard]] KeysValues compress_on_cuda(const KeysValues& rows, const NsaConfig& config);
[[nodiscard]] KeysValues compress_mlp_on_cuda(const KeysValues& rows, const PhiPair& phi,
                                              const NsaConfig& config);
[[nodiscard]] at::Tensor sliding_on_cuda(const at::Tensor& q, const KeysValues& rows, std::int64_t w,
                                         double scale);
[[nodiscard]] at::Tensor compressed_on_cuda(const at::Tensor& q, const KeysValues& rows,
                                            const NsaConfig& config);
[[nodiscard]] at::Tensor blocks_on_cuda(const at::Tensor& q, const KeysValues& cmp, const NsaConfig& config);
[[nodiscard]] at::Tensor selected_on_cuda(const at::Tensor& q, const KeysValues& rows,
                                          const at::Tensor& blocks, const NsaConfig& config);
[[nodiscard]] GatedAttention gated_on_cuda(const BranchInputs& in, const at::Tensor& blocks,
                                           const NsaConfig& config);

}  // namespace nsa::core
