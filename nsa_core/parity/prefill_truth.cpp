#include "nsa_core/parity/prefill_truth.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <array>

#include "nsa_core/geometry.hpp"
#include "nsa_core/parity/metrics.hpp"
#include "nsa_core/parity/step_selection.hpp"
#include "nsa_core/parity/step_truth.hpp"
#include "nsa_core/reference.hpp"

namespace nsa::core::parity {
namespace {

using reference::Gradients;

at::Tensor exact(const at::Tensor& x) {
    return x.to(at::kDouble);
}

at::Tensor of_raw(const at::Tensor& d_tokens, std::int64_t length, const NsaConfig& c) {
    return reference::compress_mean_gradient(d_tokens, length, c.l, c.d);
}

at::Tensor plain_gated(const PrefillTensors& in, const KeysValues& cmp, const at::Tensor& blocks,
                       const NsaConfig& c) {
    const std::int64_t length = in.q.size(2);
    const auto branch = [&](const KeysValues& rows, const at::Tensor& mask) {
        return plain_attention(in.q, rows.k, rows.v, mask, c.scale());
    };
    const auto gate = [&](std::int64_t column) { return in.gates.narrow(3, column, 1); };
    at::Tensor out = gate(1) * branch(in.sel, selected_mask(blocks, c)) +
                     gate(2) * branch(in.win, sliding_mask(length, c.w, at::kCPU));
    if (cmp.k.size(2) == 0) return out;
    return gate(0) * branch(cmp, compressed_mask(length, c, at::kCPU)) + out;
}

at::Tensor gradient_or_zeros(const at::Tensor& leaf) {
    return leaf.grad().defined() ? leaf.grad() : at::zeros_like(leaf).detach();
}

}  // namespace

SequenceOutputs true_prefill(const SequenceInputs& s, const NsaConfig& c) {
    const at::Tensor gates = exact(s.in.gates);
    const at::Tensor d_out = exact(s.d_out);
    const std::int64_t length = s.in.q.size(2);
    const auto gate = [&](std::int64_t column) { return gates.narrow(3, column, 1); };
    const std::array<at::Tensor, 3> outs{
        reference::compressed_attention(s.in.q, s.cmp.k, s.cmp.v, c),
        reference::selected_attention(s.in.q, s.in.sel.k, s.in.sel.v, s.blocks, c),
        reference::sliding_attention(s.in.q, s.in.win.k, s.in.win.v, c.w, c.scale())};
    const Gradients cmp = reference::compressed_gradients(s.in.q, s.cmp.k, s.cmp.v, c, gate(0) * d_out);
    const Gradients sel =
        reference::selected_gradients(s.in.q, s.in.sel.k, s.in.sel.v, s.blocks, c, gate(1) * d_out);
    const Gradients win =
        reference::sliding_gradients(s.in.q, s.in.win.k, s.in.win.v, c.w, c.scale(), gate(2) * d_out);
    std::vector<at::Tensor> d_gates;
    for (const at::Tensor& out : outs)
        d_gates.push_back((out * d_out).sum(-1));
    return {.out = gate(0) * outs[0] + gate(1) * outs[1] + gate(2) * outs[2],
            .gradients = {.q = cmp.q + sel.q + win.q,
                          .raw = {.k = of_raw(cmp.k, length, c), .v = of_raw(cmp.v, length, c)},
                          .sel = {.k = sel.k, .v = sel.v},
                          .win = {.k = win.k, .v = win.v},
                          .gates = at::stack(d_gates, -1)}};
}

SequenceOutputs plain_prefill(const SequenceInputs& s, const NsaConfig& c) {
    const c10::AutoGradMode on{true};
    const auto leaf = [](const at::Tensor& x) { return x.detach().requires_grad_(true); };
    PrefillTensors leaves = s.in;
    for_each_tensor(leaves, [&](at::Tensor& x) { x = leaf(x); });
    const KeysValues cmp{.k = leaf(s.cmp.k), .v = leaf(s.cmp.v)};
    const at::Tensor out = plain_gated(leaves, cmp, s.blocks, c);
    out.backward(s.d_out);
    PrefillTensors gradients = leaves;
    for_each_tensor(gradients, [](at::Tensor& x) { x = gradient_or_zeros(x); });
    const auto raw = [&](const at::Tensor& tokens) {
        return of_raw(gradient_or_zeros(tokens), s.in.q.size(2), c).to(s.in.q.scalar_type());
    };
    gradients.raw = {.k = raw(cmp.k), .v = raw(cmp.v)};
    return {.out = out.detach(), .gradients = gradients};
}

SelectionCount judge_blocks(const SequenceInputs& s, const NsaConfig& c, bool ties_allowed) {
    const at::Tensor importance = reference::block_importance(s.in.q, s.cmp.k, c);
    const at::Tensor expected = reference::select_blocks(importance, c).contiguous();
    const at::Tensor chosen = s.blocks.contiguous();
    const auto row = [](const at::Tensor& x, std::int64_t g, std::int64_t t, std::int64_t count) {
        const std::int64_t* at = x[0][g][t].const_data_ptr<std::int64_t>();
        return std::vector<std::int64_t>{at, at + count};
    };
    const double rounding = ties_allowed ? importance_rounding(s.in.q, s.cmp.k, c) : 0;
    SelectionCount count;
    for (std::int64_t g = 0; g < importance.size(1); ++g) {
        for (std::int64_t t = 0; t < importance.size(2); ++t) {
            const at::Tensor values = importance[0][g][t].contiguous();
            const double* at = values.const_data_ptr<double>();
            const std::vector<double> existing{at, at + block_count(t + 1, c)};
            const Selection judged = judge_selection(existing, row(expected, g, t, expected.size(3)),
                                                     row(chosen, g, t, chosen.size(3)), rounding);
            if (judged == Selection::kTie) ++count.ties;
            if (judged == Selection::kFault) ++count.faults;
        }
    }
    return count;
}

}  // namespace nsa::core::parity
