#include "nsa_core/module.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "nsa_core/device.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/src/checks.hpp"
#include "nsa_core/src/module_impl.hpp"
#include "nsa_core/src/rope.hpp"

namespace nsa::core {

at::Tensor NSAAttention::Impl::heads_of(const at::Tensor& x, const at::Tensor& weight,
                                        std::int64_t count) const {
    const at::Tensor rows = at::linear(x, weight);
    return rows.view({x.size(0), x.size(1), count, rows.size(2) / count}).transpose(1, 2);
}

at::Tensor NSAAttention::Impl::queries(const at::Tensor& x, std::int64_t first) const {
    return with_positions(heads_of(x, parameters.wq, config.heads), first, config);
}

at::Tensor NSAAttention::Impl::keys(const at::Tensor& x, const at::Tensor& weight, std::int64_t first) const {
    return with_positions(heads_of(x, weight, config.groups), first, config);
}

at::Tensor NSAAttention::Impl::values(const at::Tensor& x, const at::Tensor& weight) const {
    return heads_of(x, weight, config.groups);
}

at::Tensor NSAAttention::Impl::gates(const at::Tensor& x) const {
    const std::int64_t batch = x.size(0);
    const std::int64_t length = x.size(1);
    if (policy.force_branch) {
        at::Tensor forced = at::zeros({batch, config.heads, length, 3}, x.options());
        forced.select(3, static_cast<std::int64_t>(*policy.force_branch)).fill_(1);
        return forced;
    }
    const at::Tensor hidden = at::silu(at::linear(x, parameters.gate_w1, parameters.gate_b1));
    const at::Tensor logits = at::linear(hidden, parameters.gate_w2, parameters.gate_b2)
                                  .view({batch, length, config.heads, 3})
                                  .transpose(1, 2);
    return config.gate == GateKind::kSigmoid ? at::sigmoid(logits) : at::softmax(logits, -1);
}

at::Tensor NSAAttention::Impl::compress_keys(const at::Tensor& rows) const {
    return parameters.phi_k ? compress_mlp(rows, *parameters.phi_k, config) : compress_mean(rows, config);
}

at::Tensor NSAAttention::Impl::compress_values(const at::Tensor& rows) const {
    return parameters.phi_v ? compress_mlp(rows, *parameters.phi_v, config) : compress_mean(rows, config);
}

at::Tensor NSAAttention::Impl::combine(const at::Tensor& gates, const at::Tensor& cmp, const at::Tensor& sel,
                                       const at::Tensor& win) const {
    const at::Tensor mixed =
        gates.narrow(3, 0, 1) * cmp + gates.narrow(3, 1, 1) * sel + gates.narrow(3, 2, 1) * win;
    return at::linear(mixed.transpose(1, 2).flatten(2, 3), parameters.wo);
}

RouteChoice NSAAttention::Impl::choose(Branch branch, const at::Tensor& q, const at::Tensor& v,
                                       std::int64_t key_len) const {
    return choose_route(asked[static_cast<std::size_t>(branch)], request_for(branch, q, v, key_len), policy);
}

Execution NSAAttention::Impl::execution(const RouteChoice& choice) const {
    return {.route = choice.taken, .audit = audit};
}

NSAAttention::NSAAttention(const NsaConfig& config, at::TensorOptions options, std::uint64_t seed,
                           RoutePolicy policy) {
    validate(config);
    impl_ = std::make_unique<Impl>(Impl{.config = config,
                                        .policy = policy,
                                        .asked = {},
                                        .audit = nullptr,
                                        .parameters = make_parameters(config, options, seed),
                                        .names = {}});
    impl_->names = named(impl_->parameters);
}

NSAAttention::~NSAAttention() = default;
NSAAttention::NSAAttention(NSAAttention&&) noexcept = default;
NSAAttention& NSAAttention::operator=(NSAAttention&&) noexcept = default;

const NsaConfig& NSAAttention::config() const {
    return impl_->config;
}
const RoutePolicy& NSAAttention::policy() const {
    return impl_->policy;
}
const std::vector<NamedTensor>& NSAAttention::parameters() const {
    return impl_->names;
}
void NSAAttention::set_audit(SdpaAudit* audit) {
    impl_->audit = audit;
}

void NSAAttention::ask_route(std::optional<Route> route) {
    for (const Branch branch : kBranches)
        ask_route(branch, route);
}

void NSAAttention::ask_route(Branch branch, std::optional<Route> route) {
    impl_->asked[static_cast<std::size_t>(branch)] = route;
}

DecodeCache NSAAttention::make_cache(std::int64_t batch, std::int64_t capacity) const {
    return {impl_->config, batch, capacity, impl_->parameters.wq.options().requires_grad(false)};
}

PrefillResult NSAAttention::prefill(const at::Tensor& x, DecodeCache* cache) const {
    const Impl& m = *impl_;
    const NsaConfig& c = m.config;
    check_input("prefill", x, 3, c.dim, m.parameters.wq);
    if (cache && (cache->length() != 0 || cache->batch() != x.size(0))) {
        throw InputError("prefill: the cache must be empty and of the input's batch size " +
                         std::to_string(x.size(0)) + "; it holds " + std::to_string(cache->length()) +
                         " tokens of batch " + std::to_string(cache->batch()));
    }
    const std::int64_t length = x.size(1);
    const at::Tensor q = m.queries(x, 0);
    const at::Tensor raw_k = m.keys(x, m.parameters.cmp.k, 0);
    const at::Tensor raw_v = m.values(x, m.parameters.cmp.v);
    const at::Tensor k_cmp = m.compress_keys(raw_k);
    const at::Tensor v_cmp = m.compress_values(raw_v);
    const at::Tensor k_sel = m.keys(x, m.parameters.sel.k, 0);
    const at::Tensor v_sel = m.values(x, m.parameters.sel.v);
    const at::Tensor k_win = m.keys(x, m.parameters.win.k, 0);
    const at::Tensor v_win = m.values(x, m.parameters.win.v);

    PrefillResult r;
    r.routes = {.cmp = m.choose(Branch::kCompressed, q, v_cmp, v_cmp.size(2)),
                .sel = m.choose(Branch::kSelected, q, v_sel, length),
                .win = m.choose(Branch::kSliding, q, v_win, std::min(c.w, length))};
    r.blocks = select_blocks(block_importance(q, k_cmp, 0, block_count(length, c), c), 0, c);
    r.cmp = compressed_attention(q, k_cmp, v_cmp, c, m.execution(r.routes.cmp));
    r.sel = selected_attention(q, k_sel, v_sel, r.blocks, c, m.execution(r.routes.sel));
    r.win = sliding_attention(q, k_win, v_win, c.w, c.scale(), m.execution(r.routes.win));
    r.gates = m.gates(x);
    r.out = m.combine(r.gates, r.cmp, r.sel, r.win);
    if (cache) {
        cache->raw().append(raw_k, raw_v);
        cache->cmp().append(k_cmp, v_cmp);
        cache->sel().append(k_sel, v_sel);
        cache->win().append(k_win, v_win);
    }
    return r;
}

}  // namespace nsa::core
