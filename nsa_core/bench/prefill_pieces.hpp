// Attention over whole sequences cut into the pieces that are timed: tensors, and work on them.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "nsa_core/bench/prefill_bench.hpp"
#include "nsa_core/bench/prefill_inputs.hpp"
#include "nsa_core/bench/prefill_parts.hpp"
#include "nsa_core/config.hpp"
#include "nsa_core/module.hpp"
#include "nsa_core/routes.hpp"

namespace nsa::core::bench {

// Work of one name. `forward` makes a new graph where gradients are on; `leaves` are what gets gradients.
struct Piece {
    std::string metric;  // "ms_total", "ms_cmp", "ms_fa2"
    std::function<std::vector<at::Tensor>()> forward;
    std::vector<at::Tensor> leaves = {};  // empty: it has no backward pass

    [[nodiscard]] bool runs(Pass pass) const { return pass != Pass::kBackward || !leaves.empty(); }
};

[[nodiscard]] PrefillInputs random_inputs(const PrefillBenchOptions& options, const NsaConfig& config,
                                          std::int64_t seq, at::TensorOptions tensor_options);

// q_t = 0.95 q_(t-1) + noise along dimension 2, of the same variance as the independent values given.
[[nodiscard]] at::Tensor correlated(const at::Tensor& independent);

/// What the prefill of `module` attends for x [B,S,dim], made with its parameters as it makes it.
[[nodiscard]] PrefillInputs projected(const NSAAttention& module, const at::Tensor& x);

/// The three branches, gated and summed: [B,H,S,dv].
[[nodiscard]] at::Tensor attend(const PrefillInputs& in, const NsaConfig& config, const RoutesTaken& routes);

/// The pieces of `attend` by themselves, each on inputs of its own that are computed once. Where all branches
/// take route `cuda` they are that route's launches alone.
[[nodiscard]] std::vector<Piece> attention_pieces(const PrefillInputs& in, const NsaConfig& config,
                                                  const RoutesTaken& routes);
[[nodiscard]] std::vector<Piece> pieces_of(const PrefillInputs& in, const PartFunctions& parts);

/// The same of the module: attention_pieces between projection and output projection.
[[nodiscard]] std::vector<Piece> module_pieces(const NSAAttention& module, const at::Tensor& x,
                                               const RoutesTaken& routes);

/// The blocks that each token selects: [B,G,S,n], -1 behind the last.
[[nodiscard]] at::Tensor selected_blocks(const PrefillInputs& in, const NsaConfig& config,
                                         const RoutesTaken& routes);

/// Different blocks among those that `tokens` adjacent tokens select, per selected block; 1: nothing shared.
[[nodiscard]] double unique_block_ratio(const at::Tensor& blocks, std::int64_t tokens);

/// Causal attention over all keys by cuDNN, FlashAttention-2 and, where neither runs, Torch's choice.
[[nodiscard]] std::vector<Piece> full_attention_pieces(const PrefillInputs& in, double scale);

}  // namespace nsa::core::bench
