// The oracle's whole layer: projections, rotary positions, compression, branches, gate (Eq. 5) and output.
#include <ATen/ATen.h>

#include "nsa_core/reference.hpp"
#include "nsa_core/reference/layer.hpp"

namespace nsa::core::reference {
ModuleResult module_forward(const NsaConfig& config, const std::vector<NamedTensor>& parameters,
                            const at::Tensor& input) {
    const Weights weights{parameters};
    const Array x = from_tensor(input);  // [1,B,S,dim]
    const auto project = [&](const char* name, std::int64_t heads) {
        return split_heads(linear(x, weights.get(name), nullptr), heads);
    };
    const at::Tensor q = to_tensor(rotate(project("wq", config.heads), config));
    const at::Tensor k_cmp =
        compress(rotate(project("wk_cmp", config.groups), config), weights, "phi_k", config);
    const at::Tensor v_cmp = compress(project("wv_cmp", config.groups), weights, "phi_v", config);
    const at::Tensor k_sel = to_tensor(rotate(project("wk_sel", config.groups), config));
    const at::Tensor k_win = to_tensor(rotate(project("wk_win", config.groups), config));

    ModuleResult r;
    r.importance = block_importance(q, k_cmp, config);
    r.blocks = select_blocks(r.importance, config);
    r.cmp = compressed_attention(q, k_cmp, v_cmp, config);
    r.sel = selected_attention(q, k_sel, to_tensor(project("wv_sel", config.groups)), r.blocks, config);
    r.win =
        sliding_attention(q, k_win, to_tensor(project("wv_win", config.groups)), config.w, config.scale());
    const Array gates = gates_of(mlp(x, weights, "gate_").out, config, std::nullopt);
    const Array mixed = gated_sum(gates, {from_tensor(r.cmp), from_tensor(r.sel), from_tensor(r.win)});
    r.out = to_tensor(linear(mixed, weights.get("wo"), nullptr)).squeeze(0);
    return r;
}

}  // namespace nsa::core::reference
