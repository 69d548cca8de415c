// One decode step. Each branch gathers exactly the rows that it attends, and counts what it gathered.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "nsa_core/errors.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/routes/masked.hpp"
#include "nsa_core/src/checks.hpp"
#include "nsa_core/src/module_impl.hpp"

namespace nsa::core {
namespace {

// Rows of the selected blocks [B,G,1,n], ascending and without -1, up to the token at `length` - 1. The last
// block is the query's own, so cutting the flattened list cuts it at the query.
at::Tensor selected_rows(const at::Tensor& blocks, std::int64_t length, const NsaConfig& c) {
    const std::int64_t count = blocks.size(3);
    const std::int64_t own_block_tokens = (length - 1) % c.l_sel + 1;
    const at::Tensor offset = at::arange(c.l_sel, blocks.options());
    return blocks.mul(c.l_sel).squeeze(2).unsqueeze(-1).add(offset).flatten(-2, -1).narrow(
        -1, 0, (count - 1) * c.l_sel + own_block_tokens);
}

at::Tensor gather_rows(const at::Tensor& rows, const at::Tensor& index) {
    return rows.gather(2, index.unsqueeze(-1).expand({-1, -1, -1, rows.size(3)}));
}

}  // namespace

StepInputs NSAAttention::step_project(const at::Tensor& x_t, DecodeCache& cache) const {
    const at::NoGradGuard no_grad;
    const Impl& m = *impl_;
    check_input("decode", x_t, 2, m.config.dim, m.parameters.wq);
    if (x_t.size(0) != cache.batch()) {
        throw InputError("decode: the input has " + std::to_string(x_t.size(0)) +
                         " sequences and the cache " + std::to_string(cache.batch()));
    }
    const std::int64_t t = cache.length();
    const at::Tensor x = x_t.unsqueeze(1);
    const Rotations at_t = rotations(t, 1, x, m.config);
    cache.raw().append(m.keys(x, m.parameters.cmp.k, at_t), m.values(x, m.parameters.cmp.v));
    cache.sel().append(m.keys(x, m.parameters.sel.k, at_t), m.values(x, m.parameters.sel.v));
    cache.win().append(m.keys(x, m.parameters.win.k, at_t), m.values(x, m.parameters.win.v));
    return {.q = m.queries(x, at_t), .gates = m.gates(x), .t = t};
}

StepCompressed NSAAttention::step_compressed(const StepInputs& in, DecodeCache& cache) const {
    const at::NoGradGuard no_grad;
    const Impl& m = *impl_;
    const NsaConfig& c = m.config;
    // The block that ends with this token, if one does. Asking the count makes a repeated call harmless.
    if (cache.compressed() < compressed_count(in.t + 1, c)) {
        const KeysValues token = m.compress({.k = cache.raw().k.last(c.l), .v = cache.raw().v.last(c.l)}, {});
        cache.cmp().append(token.k, token.v);
    }
    const at::Tensor k = cache.cmp().k.rows();
    const at::Tensor v = cache.cmp().v.rows();
    StepCompressed step;
    step.route = m.choose(Branch::kCompressed, in.q, /*length=*/0, v.size(2));
    step.reads = k.size(2);
    step.out = k.size(2) == 0 ? at::zeros({in.q.size(0), c.heads, 1, c.dv}, in.q.options())
                              : unmasked_attention(in.q, k, v, c.scale(), m.execution(step.route));
    step.blocks = select_blocks(block_importance(in.q, k, in.t, block_count(in.t + 1, c), c), in.t, c);
    return step;
}

StepBranch NSAAttention::step_selected(const StepInputs& in, const at::Tensor& blocks,
                                       DecodeCache& cache) const {
    const at::NoGradGuard no_grad;
    const Impl& m = *impl_;
    const at::Tensor index = selected_rows(blocks, in.t + 1, m.config);
    const at::Tensor k = gather_rows(cache.sel().k.rows(), index);
    const at::Tensor v = gather_rows(cache.sel().v.rows(), index);
    const RouteChoice route = m.choose(Branch::kSelected, in.q, /*length=*/0, v.size(2));
    return {.out = unmasked_attention(in.q, k, v, m.config.scale(), m.execution(route)),
            .reads = k.size(2),
            .route = route};
}

StepBranch NSAAttention::step_sliding(const StepInputs& in, DecodeCache& cache) const {
    const at::NoGradGuard no_grad;
    const Impl& m = *impl_;
    const std::int64_t visible = std::min(m.config.w, in.t + 1);
    const at::Tensor k = cache.win().k.last(visible);
    const at::Tensor v = cache.win().v.last(visible);
    const RouteChoice route = m.choose(Branch::kSliding, in.q, /*length=*/0, v.size(2));
    return {.out = unmasked_attention(in.q, k, v, m.config.scale(), m.execution(route)),
            .reads = k.size(2),
            .route = route};
}

at::Tensor NSAAttention::step_combine(const StepInputs& in, const at::Tensor& cmp, const at::Tensor& sel,
                                      const at::Tensor& win) const {
    const at::NoGradGuard no_grad;
    const at::Tensor mixed =
        in.gates.narrow(3, 0, 1) * cmp + in.gates.narrow(3, 1, 1) * sel + in.gates.narrow(3, 2, 1) * win;
    return impl_->project_out(mixed).squeeze(1);
}

StepResult NSAAttention::decode(const at::Tensor& x_t, DecodeCache& cache) const {
    const StepInputs in = step_project(x_t, cache);
    const StepCompressed cmp = step_compressed(in, cache);
    const StepBranch sel = step_selected(in, cmp.blocks, cache);
    const StepBranch win = step_sliding(in, cache);
    return {.out = step_combine(in, cmp.out, sel.out, win.out),
            .reads = {.cmp = cmp.reads, .sel = sel.reads, .win = win.reads},
            .routes = {.cmp = cmp.route, .sel = sel.route, .win = win.route}};
}

}  // namespace nsa::core
