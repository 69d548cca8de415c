#include "nsa_core/routes/cuda_prefill_autograd.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nsa_core/routes/cuda_compression_autograd.hpp"
#include "nsa_core/routes/prefill_shape.hpp"
#include "nsa_core/routes/saved_call.hpp"

namespace nsa::core {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

CudaPrefill kernels_for(const CudaCall& call, const at::Tensor& like) {
    return {call.config, call.scale, like, call.packing, *call.kernels};
}

// The saved call, on tensors shaped like `like`.
CudaPrefill saved_kernels(AutogradContext* ctx, const at::Tensor& like) {
    return kernels_for(saved_call(ctx), like);
}

// Gradients in the order of the arguments of forward; what is no tensor has none.
variable_list gradients_of(const BranchGradients& d, std::size_t others) {
    variable_list all{d.q, d.rows.k, d.rows.v};
    all.resize(all.size() + others);
    return all;
}

struct CompressMean : Function<CompressMean> {
    static variable_list forward(AutogradContext* ctx, const at::Tensor& k, const at::Tensor& v,
                                 const CudaCall& call) {
        save_call(ctx, call);
        ctx->saved_data["like"] = at::empty({0}, k.options()).expand({k.size(0), 0, k.size(2), 0});
        const KeysValues out = kernels_for(call, k).compress({.k = k, .v = v});
        return {out.k, out.v};
    }
    static variable_list backward(AutogradContext* ctx, variable_list d_out) {
        const CudaPrefill kernels = saved_kernels(ctx, ctx->saved_data["like"].toTensor());
        const KeysValues d = kernels.compress_backward({.k = d_out[0], .v = d_out[1]});
        return {d.k, d.v, {}};
    }
};

enum class Dense { kSliding, kCompressed };

template <Dense kBranch>
struct DenseAttention : Function<DenseAttention<kBranch>> {
    static at::Tensor forward(AutogradContext* ctx, const at::Tensor& q, const at::Tensor& k,
                              const at::Tensor& v, const CudaCall& call) {
        save_call(ctx, call);
        const CudaPrefill kernels = kernels_for(call, q);
        const KeysValues rows{.k = k, .v = v};
        const Attended a =
            kBranch == Dense::kSliding ? kernels.sliding(q, rows) : kernels.compressed(q, rows);
        ctx->save_for_backward({q, k, v, a.out, a.lse});
        return a.out;
    }
    static variable_list backward(AutogradContext* ctx, variable_list d_outs) {
        const variable_list saved = ctx->get_saved_variables();
        const at::Tensor &q = saved[0], &out = saved[3], &lse = saved[4], &d_out = d_outs[0];
        const KeysValues rows{.k = saved[1], .v = saved[2]};
        const CudaPrefill kernels = saved_kernels(ctx, q);
        const RowFactors row{.delta = kernels.delta(out, d_out)};
        return gradients_of(kBranch == Dense::kSliding
                                ? kernels.sliding_backward(q, rows, lse, d_out, row)
                                : kernels.compressed_backward(q, rows, lse, d_out, row),
                            1);
    }
};

struct SelectedAttention : Function<SelectedAttention> {
    static at::Tensor forward(AutogradContext* ctx, const at::Tensor& q, const at::Tensor& k,
                              const at::Tensor& v, const at::Tensor& blocks, const at::Tensor& count,
                              const CudaCall& call) {
        save_call(ctx, call);
        const Attended a =
            kernels_for(call, q).selected(q, {.k = k, .v = v}, {.blocks = blocks, .count = count});
        ctx->save_for_backward({q, k, v, blocks, count, a.out, a.lse});
        return a.out;
    }
    static variable_list backward(AutogradContext* ctx, variable_list d_outs) {
        const variable_list saved = ctx->get_saved_variables();
        const at::Tensor &q = saved[0], &out = saved[5], &lse = saved[6], &d_out = d_outs[0];
        const CudaPrefill kernels = saved_kernels(ctx, q);
        return gradients_of(kernels.selected_backward(q, {.k = saved[1], .v = saved[2]},
                                                      {.blocks = saved[3], .count = saved[4]}, lse, d_out,
                                                      {.delta = kernels.delta(out, d_out)}),
                            3);
    }
};

// [B,H,S,3] as the rows of three gates that kernels read, and back.
at::Tensor gate_rows(const at::Tensor& gates) {
    return gates.transpose(1, 2).reshape({-1, gates.size(1), 3}).contiguous();
}
at::Tensor gates_of(const at::Tensor& rows, const at::Tensor& q) {
    return rows.view({q.size(0), q.size(2), q.size(1), 3}).transpose(1, 2);
}

struct GatedSum : Function<GatedSum> {
    static at::Tensor forward(AutogradContext* ctx, const at::Tensor& gates, const at::Tensor& cmp,
                              const at::Tensor& sel, const at::Tensor& win, const CudaCall& call) {
        save_call(ctx, call);
        const at::Tensor gate = gate_rows(gates);
        ctx->save_for_backward({gate, cmp, sel, win});
        return kernels_for(call, cmp).combine({cmp, sel, win}, gate);
    }
    static variable_list backward(AutogradContext* ctx, variable_list d_outs) {
        const variable_list saved = ctx->get_saved_variables();
        const CudaPrefill kernels = saved_kernels(ctx, saved[1]);
        const auto d = kernels.combine_backward({saved[1], saved[2], saved[3]}, saved[0], d_outs[0]);
        return {gates_of(d.gates, saved[1]), {}, {}, {}, {}};
    }
};

struct Gated : Function<Gated> {
    // Arguments: those of BranchInputs, then blocks and count, undefined to choose them. Results: out, the
    // three branches, and blocks and count.
    static variable_list forward(AutogradContext* ctx, const at::Tensor& q, const at::Tensor& k_cmp,
                                 const at::Tensor& v_cmp, const at::Tensor& k_sel, const at::Tensor& v_sel,
                                 const at::Tensor& k_win, const at::Tensor& v_win, const at::Tensor& gates,
                                 const SelectedLists& given, const CudaCall& call) {
        save_call(ctx, call);
        ctx->set_materialize_grads(false);  // or zeros as large as all three branches are made for nobody
        const GatedRows in{.q = q,
                           .cmp = {.k = k_cmp, .v = v_cmp},
                           .sel = {.k = k_sel, .v = v_sel},
                           .win = {.k = k_win, .v = v_win},
                           .gates = gate_rows(gates)};
        const GatedForward f = kernels_for(call, q).gated_forward(in, given);
        ctx->save_for_backward({q, k_cmp, v_cmp, k_sel, v_sel, k_win, v_win, in.gates, f.cmp.out, f.sel.out,
                                f.win.out, f.cmp.lse, f.sel.lse, f.win.lse, f.lists.blocks, f.lists.count});
        ctx->mark_non_differentiable({f.cmp.out, f.sel.out, f.win.out, f.lists.blocks, f.lists.count});
        return {f.out, f.cmp.out, f.sel.out, f.win.out, f.lists.blocks, f.lists.count};
    }
    static variable_list backward(AutogradContext* ctx, variable_list d_outs) {
        constexpr std::size_t kArguments = 10;
        if (!d_outs[0].defined()) return variable_list(kArguments);
        const variable_list saved = ctx->get_saved_variables();
        const GatedRows in{.q = saved[0],
                           .cmp = {.k = saved[1], .v = saved[2]},
                           .sel = {.k = saved[3], .v = saved[4]},
                           .win = {.k = saved[5], .v = saved[6]},
                           .gates = saved[7]};
        const GatedForward forward{.out = {},
                                   .cmp = {.out = saved[8], .lse = saved[11]},
                                   .sel = {.out = saved[9], .lse = saved[12]},
                                   .win = {.out = saved[10], .lse = saved[13]},
                                   .lists = {.blocks = saved[14], .count = saved[15]}};
        const GatedRows d = saved_kernels(ctx, in.q).gated_backward(in, forward, d_outs[0]);
        return {d.q, d.cmp.k, d.cmp.v, d.sel.k, d.sel.v, d.win.k, d.win.v, gates_of(d.gates, in.q), {}, {}};
    }
};

// Heads as wide as the kernels have them, and back: columns of zeros behind those of a head. The scale stays
// that of the head itself.
CudaCall widened(CudaCall call) {
    call.config = with_kernel_widths(call.config);
    return call;
}
at::Tensor widened(const at::Tensor& rows, std::int64_t width) {
    return rows.size(3) == width ? rows : at::constant_pad_nd(rows, {0, width - rows.size(3)});
}
KeysValues widened(const KeysValues& rows, const NsaConfig& wide) {
    return {.k = widened(rows.k, wide.dk), .v = widened(rows.v, wide.dv)};
}
at::Tensor narrowed(const at::Tensor& rows, std::int64_t width) {
    return rows.size(3) == width ? rows : rows.narrow(3, 0, width);
}

template <Dense kBranch>
at::Tensor dense_attention(const at::Tensor& q, const KeysValues& given, const CudaCall& narrow) {
    const CudaCall call = widened(narrow);
    const KeysValues rows = widened(given, call.config);
    return narrowed(DenseAttention<kBranch>::apply(widened(q, call.config.dk), rows.k, rows.v, call),
                    narrow.config.dv);
}

// [T,heads,c] as the batch of one that kernels of packed sequences take.
at::Tensor as_batch(const at::Tensor& packed) {
    return packed.transpose(0, 1).unsqueeze(0);
}
KeysValues as_batch(const KeysValues& packed) {
    return {.k = as_batch(packed.k), .v = as_batch(packed.v)};
}

}  // namespace

KeysValues cuda_compress_mean(const KeysValues& given, const CudaCall& narrow) {
    const CudaCall call = widened(narrow);
    const KeysValues rows = widened(given, call.config);
    const variable_list out = CompressMean::apply(rows.k, rows.v, call);
    return {.k = narrowed(out[0], narrow.config.dk), .v = narrowed(out[1], narrow.config.dv)};
}

at::Tensor cuda_sliding_attention(const at::Tensor& q, const KeysValues& rows, const CudaCall& call) {
    return dense_attention<Dense::kSliding>(q, rows, call);
}

at::Tensor cuda_compressed_attention(const at::Tensor& q, const KeysValues& rows, const CudaCall& call) {
    return dense_attention<Dense::kCompressed>(q, rows, call);
}

at::Tensor cuda_choose_blocks(const at::Tensor& given_q, const KeysValues& given, const CudaCall& narrow) {
    const at::NoGradGuard no_grad;
    const CudaCall call = widened(narrow);
    const at::Tensor q = widened(given_q, call.config.dk);
    const KeysValues cmp = widened(given, call.config);
    const CudaPrefill kernels = kernels_for(call, q);
    return kernels.to_blocks(kernels.select(q, cmp.k, kernels.compressed(q, cmp).lse));
}

at::Tensor cuda_selected_attention(const at::Tensor& given_q, const KeysValues& given,
                                   const at::Tensor& blocks, const CudaCall& narrow) {
    const CudaCall call = widened(narrow);
    const at::Tensor q = widened(given_q, call.config.dk);
    const SelectedLists lists = kernels_for(call, q).to_lists(blocks);
    return narrowed(cuda_selected_attention(q, widened(given, call.config), lists, call), narrow.config.dv);
}

at::Tensor cuda_selected_attention(const at::Tensor& q, const KeysValues& rows, const SelectedLists& lists,
                                   const CudaCall& call) {
    return SelectedAttention::apply(q, rows.k, rows.v, lists.blocks, lists.count, call);
}

at::Tensor cuda_gated_sum(const at::Tensor& gates, const std::array<at::Tensor, 3>& branches,
                          const CudaCall& call) {
    return GatedSum::apply(gates, branches[0], branches[1], branches[2], call);
}

GatedAttention cuda_gated_attention(const BranchInputs& in, const at::Tensor& blocks,
                                    const CudaCall& narrow) {
    const CudaCall call = widened(narrow);
    const at::Tensor q = widened(in.q, call.config.dk);
    const KeysValues cmp = widened(in.cmp, call.config);
    const KeysValues sel = widened(in.sel, call.config);
    const KeysValues win = widened(in.win, call.config);
    const CudaPrefill kernels = kernels_for(call, q);
    const SelectedLists given = blocks.defined() ? kernels.to_lists(blocks) : SelectedLists{};
    const variable_list r = Gated::apply(q, cmp.k, cmp.v, sel.k, sel.v, win.k, win.v, in.gates, given, call);
    const auto own = [&](std::size_t i) { return narrowed(r[i], narrow.config.dv); };
    return {.out = own(0),
            .cmp = own(1),
            .sel = own(2),
            .win = own(3),
            .blocks = blocks.defined() ? blocks : kernels.to_blocks({.blocks = r[4], .count = r[5]})};
}

at::Tensor cuda_packed_attention(const PackedInputs& in, const CudaCall& call) {
    const BranchInputs batch{.q = as_batch(in.q),
                             .cmp = in.phi ? cuda_compress_mlp(as_batch(in.raw), *in.phi, call)
                                           : cuda_compress_mean(as_batch(in.raw), call),
                             .sel = as_batch(in.sel),
                             .win = as_batch(in.win),
                             .gates = as_batch(in.gates)};
    return cuda_gated_attention(batch, {}, call).out.squeeze(0).transpose(0, 1);
}

}  // namespace nsa::core
