// The three branches over whole sequences, as functions of tensors. Differentiable by autograd in q, k and v;
// on route `cuda` once.
//
// Layouts: q [B,H,S,dk], keys [B,G,S,dk], values [B,G,S,dv], outputs [B,H,S,dv]. `scale` multiplies the
// scores. Routes `reference` and `sdpa` keep what a query may not see from reaching it even when it is NaN or
// Inf; a visible NaN or Inf row makes the query's output NaN. FlashAttention-2 gives no such promise, and
// neither does route `cuda`: a NaN or Inf in a value reaches every query that shares a tile with it, also
// those that must not see it, for tiles are multiplied whole and 0 * NaN is NaN. A route that cannot run the
// request throws InputError: choose first (routes.hpp), then call.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "nsa_core/config.hpp"
#include "nsa_core/keys_values.hpp"
#include "nsa_core/routes.hpp"

namespace nsa::core {

class SdpaAudit;

/// How to run: the route, and who watches SDPA calls (may be null; not owned).
struct Execution {
    Route route = Route::kReference;
    SdpaAudit* audit = nullptr;
};

/// Query t attends the keys [max(0, t-w+1), t].
[[nodiscard]] at::Tensor sliding_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                           std::int64_t w, double scale, const Execution& how);

/// phi = mean: token i is the mean of rows [i d, i d + l). [B,G,S,c] -> [B,G,compressed_count(S),c].
[[nodiscard]] at::Tensor compress_mean(const at::Tensor& rows, const NsaConfig& config);

/// The same of keys and values; on route `cuda` by one kernel, on every other by the function above.
[[nodiscard]] KeysValues compress_mean(const KeysValues& rows, const NsaConfig& config, const Execution& how);

/// Learnable phi of one of K and V, shared by the groups: W2 silu(W1 (block + position) + b1) + b2.
struct PhiWeights {
    at::Tensor position;  // [l, c], intra-block position
    at::Tensor w1;        // [phi_hidden, l c]
    at::Tensor b1;        // [phi_hidden]
    at::Tensor w2;        // [c, phi_hidden]
    at::Tensor b2;        // [c]
};
struct PhiPair {
    PhiWeights k;
    PhiWeights v;
};
[[nodiscard]] at::Tensor compress_mlp(const at::Tensor& rows, const PhiWeights& phi, const NsaConfig& config);

/// The same of keys and values; on route `cuda` by kernels that never store a block, on every other by the
/// function above. The weights are of the rows' dtype. Differentiable in rows and weights.
[[nodiscard]] KeysValues compress_mlp(const KeysValues& rows, const PhiPair& phi, const NsaConfig& config,
                                      const Execution& how);

/// Query t attends the first compressed_count(t+1) compressed tokens; its output is 0 when there are none.
[[nodiscard]] at::Tensor compressed_attention(const at::Tensor& q, const at::Tensor& k_cmp,
                                              const at::Tensor& v_cmp, const NsaConfig& config,
                                              const Execution& how);

/// Importance p_slc of every selection block, summed over the heads of a group (Eqs. 8-10):
/// [B,G,queries,blocks], fp32 for half types. `first` is the position of the first query: prefill passes 0,
/// a decode step passes t with one query. Blocks that begin after the query hold 0. Carries no gradient.
[[nodiscard]] at::Tensor block_importance(const at::Tensor& q, const at::Tensor& k_cmp, std::int64_t first,
                                          std::int64_t blocks, const NsaConfig& config);

/// Top-n of importance [B,G,queries,blocks] with the forced blocks, ties to the lower index, no block that
/// begins after the query: [B,G,queries,min(n,blocks)] int64, ascending, -1 behind the last.
[[nodiscard]] at::Tensor select_blocks(const at::Tensor& importance, std::int64_t first,
                                       const NsaConfig& config);

/// The two in one over a whole sequence; on route `cuda` from the scores of its compressed branch.
[[nodiscard]] at::Tensor choose_blocks(const at::Tensor& q, const KeysValues& cmp, const NsaConfig& config,
                                       const Execution& how);

/// Query t attends the tokens up to t of its group's selected blocks [B,G,S,1 to n] int64. A number that is
/// no block of its prefix, -1 above all, stands for none.
[[nodiscard]] at::Tensor selected_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                            const at::Tensor& blocks, const NsaConfig& config,
                                            const Execution& how);

/// What the branches of a layer attend, and how they are mixed.
struct BranchInputs {
    at::Tensor q;    // [B,H,S,dk]
    KeysValues cmp;  // compressed tokens
    KeysValues sel;
    KeysValues win;
    at::Tensor gates;  // [B,H,S,3] in the order cmp, sel, win
};

struct BranchExecutions {
    Execution cmp;
    Execution sel;
    Execution win;
};

struct GatedAttention {
    at::Tensor out;  // [B,H,S,dv], the gated sum
    at::Tensor cmp;  // the branches; on route `cuda`, where all are computed together, without gradient
    at::Tensor sel;
    at::Tensor win;
    at::Tensor blocks;  // [B,G,S,n] int64, those that the selected branch attended
};

/// The three branches and their gated sum; differentiable in the gates too. `blocks` are selected by
/// importance unless they are given, which is how implementations are compared whose rounding picks
/// differently. Where all three run on route `cuda`, the blocks come from the scores of the compressed
/// branch, and forward and backward are one function that keeps nothing gated in memory.
[[nodiscard]] GatedAttention gated_attention(const BranchInputs& in, const NsaConfig& config,
                                             const BranchExecutions& how, const at::Tensor& blocks = {});

/// Sequences of many lengths one behind the other, [T,heads,c] each: sequence i is rows
/// [cu_tokens[i], cu_tokens[i+1]).
struct PackedInputs {
    at::Tensor q;    // [T,H,dk]
    KeysValues raw;  // [T,G,dk] and [T,G,dv], input of the compression
    KeysValues sel;
    KeysValues win;
    at::Tensor gates;                 // [T,H,3]
    at::Tensor cu_tokens;             // int32 [sequences + 1] on the device, from 0 to T
    std::int64_t longest = 0;         // tokens of the longest sequence; the lengths are not read on the host
    std::optional<PhiPair> phi = {};  // with Compressor::kMlp, and not without
};

/// gated_attention of each sequence, [T,H,dv]. Route `cuda` only: throws InputError with the reason
/// elsewhere.
[[nodiscard]] at::Tensor packed_attention(const PackedInputs& in, const NsaConfig& config);

/// Plain causal attention: what every branch must equal when it is configured to cover all tokens.
[[nodiscard]] at::Tensor full_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                        double scale, const Execution& how);

}  // namespace nsa::core
