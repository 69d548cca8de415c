// What prefill-bench attends.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "nsa_core/attention.hpp"

namespace nsa::core::bench {

// The output of projections, or random values of that shape and of that order in memory: token-major. Every
// tensor is a leaf.
struct PrefillInputs {
    at::Tensor q;                                         // [B,H,S,dk]
    at::Tensor gates;                                     // [B,H,S,3] in the order cmp, sel, win
    at::Tensor k_raw, v_raw, k_sel, v_sel, k_win, v_win;  // [B,G,S,dk or dv]

    std::optional<PhiPair> phi;  // of a learnable compressor

    [[nodiscard]] std::vector<at::Tensor> all() const {
        std::vector<at::Tensor> tensors{q, gates, k_raw, v_raw, k_sel, v_sel, k_win, v_win};
        const std::vector<at::Tensor> weights = phi_weights();
        tensors.insert(tensors.end(), weights.begin(), weights.end());
        return tensors;
    }
    [[nodiscard]] std::vector<at::Tensor> phi_weights() const {
        if (!phi) return {};
        const PhiWeights &k = phi->k, &v = phi->v;
        return {k.position, k.w1, k.b1, k.w2, k.b2, v.position, v.w1, v.b1, v.w2, v.b2};
    }
    [[nodiscard]] KeysValues raw() const { return {.k = k_raw, .v = v_raw}; }
};

}  // namespace nsa::core::bench
