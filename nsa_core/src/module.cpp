#include "nsa_core/module.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "nsa_core/device.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/src/checks.hpp"
#include "nsa_core/src/module_impl.hpp"

namespace nsa::core {

at::Tensor NSAAttention::Impl::heads_of(const at::Tensor& x, const at::Tensor& weight,
                                        std::int64_t count) const {
    const at::Tensor rows = at::linear(x, weight);
    return rows.view({x.size(0), x.size(1), count, rows.size(2) / count}).transpose(1, 2);
}

at::Tensor NSAAttention::Impl::queries(const at::Tensor& x, const Rotations& positions) const {
    return rotated(heads_of(x, parameters.wq, config.heads), positions);
}

at::Tensor NSAAttention::Impl::keys(const at::Tensor& x, const at::Tensor& weight,
                                    const Rotations& positions) const {
    return rotated(heads_of(x, weight, config.groups), positions);
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

KeysValues NSAAttention::Impl::compress(const KeysValues& rows, const Execution& how) const {
    return parameters.phi ? compress_mlp(rows, *parameters.phi, config, how)
                          : compress_mean(rows, config, how);
}

at::Tensor NSAAttention::Impl::project_out(const at::Tensor& mixed) const {
    return at::linear(mixed.transpose(1, 2).flatten(2, 3), parameters.wo);
}

RouteChoice NSAAttention::Impl::choose(Branch branch, const at::Tensor& q, std::int64_t length,
                                       std::int64_t key_len) const {
    return choose_route(asked[static_cast<std::size_t>(branch)],
                        request_for(branch, config, q, length, key_len), policy);
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

PrefillResult NSAAttention::prefill(const at::Tensor& x, DecodeCache* cache, const at::Tensor& blocks) const {
    const Impl& m = *impl_;
    const NsaConfig& c = m.config;
    check_input("prefill", x, 3, c.dim, m.parameters.wq);
    if (cache && (cache->length() != 0 || cache->batch() != x.size(0))) {
        throw InputError("prefill: the cache must be empty and of the input's batch size " +
                         std::to_string(x.size(0)) + "; it holds " + std::to_string(cache->length()) +
                         " tokens of batch " + std::to_string(cache->batch()));
    }
    const std::int64_t length = x.size(1);
    const Rotations positions = rotations(0, length, x, c);
    const at::Tensor q = m.queries(x, positions);
    const RoutesTaken routes{.cmp = m.choose(Branch::kCompressed, q, length, compressed_count(length, c)),
                             .sel = m.choose(Branch::kSelected, q, length, length),
                             .win = m.choose(Branch::kSliding, q, length, std::min(c.w, length))};
    const BranchExecutions how{
        .cmp = m.execution(routes.cmp), .sel = m.execution(routes.sel), .win = m.execution(routes.win)};
    const KeysValues raw{.k = m.keys(x, m.parameters.cmp.k, positions), .v = m.values(x, m.parameters.cmp.v)};
    const BranchInputs in{
        .q = q,
        .cmp = m.compress(raw, how.cmp),
        .sel = {.k = m.keys(x, m.parameters.sel.k, positions), .v = m.values(x, m.parameters.sel.v)},
        .win = {.k = m.keys(x, m.parameters.win.k, positions), .v = m.values(x, m.parameters.win.v)},
        .gates = m.gates(x)};
    const GatedAttention attended = gated_attention(in, c, how, blocks);
    if (cache) {
        cache->raw().append(raw.k, raw.v);
        cache->cmp().append(in.cmp.k, in.cmp.v);
        cache->sel().append(in.sel.k, in.sel.v);
        cache->win().append(in.win.k, in.win.v);
    }
    return {.out = m.project_out(attended.out),
            .cmp = attended.cmp,
            .sel = attended.sel,
            .win = attended.win,
            .gates = in.gates,
            .blocks = attended.blocks,
            .routes = routes};
}

}  // namespace nsa::core
