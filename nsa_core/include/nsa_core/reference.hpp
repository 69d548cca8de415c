// The oracle: Native Sparse Attention in fp64 with plain loops and explicit masks, read straight off the
// paper's equations. It shares no code with the module or its routes, not even the counting of blocks.
//
// Tensors of any dtype and device come in; they are converted to fp64 on the CPU first. Results are fp64 CPU
// tensors. Layouts as in attention.hpp. Cost is that of the loops: meant for parity, not for speed.
// `first` is the position of the first query: 0 for whole sequences; a decode step has one query, at t.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "nsa_core/config.hpp"
#include "nsa_core/module.hpp"

namespace nsa::core::reference {

[[nodiscard]] at::Tensor full_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                        double scale);

[[nodiscard]] at::Tensor sliding_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                           std::int64_t w, double scale, std::int64_t first = 0);

/// The hypothesis about the published oracle: each query attends the first key of its window and nothing
/// else, so its output is that key's value.
[[nodiscard]] at::Tensor first_key_of_window(const at::Tensor& v, std::int64_t heads, std::int64_t w);

/// Mean compression of [B,G,S,c].
[[nodiscard]] at::Tensor compress_mean(const at::Tensor& rows, std::int64_t l, std::int64_t d);

/// Query t over compressed keys and values [B,G,Nc,*].
[[nodiscard]] at::Tensor compressed_attention(const at::Tensor& q, const at::Tensor& k_cmp,
                                              const at::Tensor& v_cmp, const NsaConfig& config,
                                              std::int64_t first = 0);

/// Group importance of every selection block, [B,G,S,blocks] (Eqs. 8-10).
[[nodiscard]] at::Tensor block_importance(const at::Tensor& q, const at::Tensor& k_cmp,
                                          const NsaConfig& config, std::int64_t first = 0);

/// Selected blocks, [B,G,S,min(n,blocks)] int64 ascending, -1 behind the last.
[[nodiscard]] at::Tensor select_blocks(const at::Tensor& importance, const NsaConfig& config,
                                       std::int64_t first = 0);

[[nodiscard]] at::Tensor selected_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                            const at::Tensor& blocks, const NsaConfig& config,
                                            std::int64_t first = 0);

/// Gradients of the sum of out * d_out, d_out [B,H,S,dv], in what a branch attends.
struct Gradients {
    at::Tensor q;  // [B,H,S,dk]
    at::Tensor k;  // as the branch's keys
    at::Tensor v;
};

[[nodiscard]] Gradients sliding_gradients(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                          std::int64_t w, double scale, const at::Tensor& d_out);
[[nodiscard]] Gradients compressed_gradients(const at::Tensor& q, const at::Tensor& k_cmp,
                                             const at::Tensor& v_cmp, const NsaConfig& config,
                                             const at::Tensor& d_out);
[[nodiscard]] Gradients selected_gradients(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                           const at::Tensor& blocks, const NsaConfig& config,
                                           const at::Tensor& d_out);

/// Of mean compression: d_tokens [B,G,Nc,c] -> [B,G,length,c].
[[nodiscard]] at::Tensor compress_mean_gradient(const at::Tensor& d_tokens, std::int64_t length,
                                                std::int64_t l, std::int64_t d);

struct ModuleResult {
    at::Tensor out;  // [B,S,dim]
    at::Tensor cmp;  // [B,H,S,dv]
    at::Tensor sel;
    at::Tensor win;
    at::Tensor importance;  // [B,G,S,blocks]
    at::Tensor blocks;      // [B,G,S,n]
};

/// The whole layer from its weights (NSAAttention::parameters()) and x [B,S,dim], with learned gates.
[[nodiscard]] ModuleResult module_forward(const NsaConfig& config, const std::vector<NamedTensor>& parameters,
                                          const at::Tensor& x);

struct ModuleGradients {
    at::Tensor x;                      // [B,S,dim]
    std::vector<NamedTensor> weights;  // shapes, names and order of the parameters
};

/// Gradients of the sum of out * d_out, d_out [B,S,dim], of the layer whose selected branch attends `blocks`
/// [B,G,S,n]. `only`: with that branch's gate 1 and the others' 0, so that the gate has no gradient.
[[nodiscard]] ModuleGradients module_backward(const NsaConfig& config,
                                              const std::vector<NamedTensor>& parameters, const at::Tensor& x,
                                              const at::Tensor& blocks, const at::Tensor& d_out,
                                              std::optional<Branch> only = std::nullopt);

}  // namespace nsa::core::reference
