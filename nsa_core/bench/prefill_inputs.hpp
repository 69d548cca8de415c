// What prefill-bench attends.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace nsa::core::bench {

// The output of projections, or random values of that shape and of that order in memory: token-major. Every
// tensor is a leaf.
struct PrefillInputs {
    at::Tensor q;                                         // [B,H,S,dk]
    at::Tensor gates;                                     // [B,H,S,3] in the order cmp, sel, win
    at::Tensor k_raw, v_raw, k_sel, v_sel, k_win, v_win;  // [B,G,S,dk or dv]

    [[nodiscard]] std::vector<at::Tensor> all() const {
        return {q, gates, k_raw, v_raw, k_sel, v_sel, k_win, v_win};
    }
};

}  // namespace nsa::core::bench
