#include <ATen/ATen.h>

#include "nsa_core/routes/cuda_prefill.hpp"

namespace nsa::core {

GatedForward CudaPrefill::gated_forward(const GatedRows& in, const SelectedLists& given) const {
    GatedForward f;
    f.cmp = compressed(in.q, in.cmp);
    f.lists = given.blocks.defined() ? given : select(in.q, in.cmp.k, f.cmp.lse);
    f.sel = selected(in.q, in.sel, f.lists);
    f.win = sliding(in.q, in.win);
    f.out = combine({f.cmp.out, f.sel.out, f.win.out}, in.gates);
    return f;
}

GatedRows CudaPrefill::gated_backward(const GatedRows& in, const GatedForward& f,
                                      const at::Tensor& d_out) const {
    const CombineGradients mix = combine_backward({f.cmp.out, f.sel.out, f.win.out}, in.gates, d_out);
    const auto factors = [&](int branch) {
        return RowFactors{
            .delta = mix.delta[static_cast<std::size_t>(branch)], .gates = in.gates, .branch = branch};
    };
    // One gradient of q, which each branch adds its own to.
    const BranchGradients sel =
        selected_backward(in.q, in.sel, f.lists, f.sel.lse, d_out, factors(kSelColumn));
    const BranchGradients cmp =
        compressed_backward(in.q, in.cmp, f.cmp.lse, d_out, factors(kCmpColumn), sel.q);
    const BranchGradients win = sliding_backward(in.q, in.win, f.win.lse, d_out, factors(kWinColumn), cmp.q);
    return {.q = win.q, .cmp = cmp.rows, .sel = sel.rows, .win = win.rows, .gates = mix.gates};
}

}  // namespace nsa::core
