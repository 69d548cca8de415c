// Parity of the whole layer: prefill against the oracle, the identity with full attention, and decoding.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <iostream>

#include "nsa_core/device.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/module.hpp"
#include "nsa_core/parity/golden_tensors.hpp"
#include "nsa_core/parity/metrics.hpp"
#include "nsa_core/parity/module_gradients.hpp"
#include "nsa_core/parity/trial.hpp"
#include "nsa_core/reference.hpp"
#include "nsa_core/sdpa_audit.hpp"
#include "nsa_core/tools/torch_device.hpp"

namespace nsa::core::parity {
namespace {

at::TensorOptions options_of(const TrialPlan& plan) {
    return at::TensorOptions{scalar_type(plan.options.dtype)}.device(tools::torch_device(plan.device));
}

at::Tensor weight(const NSAAttention& module, std::string_view name) {
    for (const NamedTensor& parameter : module.parameters()) {
        if (parameter.name == name) return parameter.tensor;
    }
    TORCH_CHECK(false, "the module has no parameter ", name);
}

at::Tensor in_fp64(const at::Tensor& tensor) {
    return tensor.detach().to(at::kCPU, at::kDouble);
}

// [B,heads,S,c] -> [B,S,dim] through the output projection.
at::Tensor project_out(const NSAAttention& module, const at::Tensor& branch) {
    const at::Tensor merged = branch.transpose(1, 2).flatten(2);
    return at::linear(merged, in_fp64(weight(module, "wo")));
}

// The oracle knows learned gates only. With NSA_FORCE_BRANCH the layer is that branch and the projection.
reference::ModuleResult oracle_of(const TrialPlan& plan, const NSAAttention& module, const at::Tensor& x) {
    reference::ModuleResult truth = reference::module_forward(plan.config, module.parameters(), x);
    if (!plan.policy.force_branch) return truth;
    switch (*plan.policy.force_branch) {
        case Branch::kCompressed:
            truth.out = project_out(module, truth.cmp);
            break;
        case Branch::kSelected:
            truth.out = project_out(module, truth.sel);
            break;
        case Branch::kSliding:
            truth.out = project_out(module, truth.win);
            break;
    }
    return truth;
}

std::vector<std::pair<Branch, RouteChoice>> by_branch(const RoutesTaken& routes) {
    return {
        {Branch::kCompressed, routes.cmp}, {Branch::kSelected, routes.sel}, {Branch::kSliding, routes.win}};
}

void ask_routes(NSAAttention& module, const ParityOptions& options) {
    for (const Branch branch : kBranches)
        module.ask_route(branch, route_asked_of(branch, options));
}

// A layer whose branches all see every token, one token to a compressed block, share keys and values, and
// whose gates sum to 1 is plain causal attention, whatever the gates are.
NSAAttention covering_module(const TrialPlan& plan, std::int64_t seed) {
    NsaConfig config = plan.config;
    config.l = config.d = 1;
    config.compressor = Compressor::kMean;  // of one token: itself
    config.n = std::max(block_count(plan.options.seq, config), config.n_initial + config.n_local);
    config.w = plan.options.seq;
    config.gate = GateKind::kSoftmax;
    NSAAttention module{config, options_of(plan), static_cast<std::uint64_t>(seed), plan.policy};
    ask_routes(module, plan.options);
    for (const char* kind : {"wk", "wv"}) {
        const at::Tensor shared = weight(module, std::string{kind} + "_cmp");
        weight(module, std::string{kind} + "_sel").copy_(shared);
        weight(module, std::string{kind} + "_win").copy_(shared);
    }
    return module;
}

ErrorMetrics identity_error(const TrialPlan& plan, const at::Tensor& x, std::int64_t seed) {
    const NSAAttention module = covering_module(plan, seed);
    const auto heads_of = [&](std::string_view name, std::int64_t count) {
        const at::Tensor rows = at::linear(in_fp64(x), in_fp64(weight(module, name)));
        return rows.unflatten(2, {count, rows.size(2) / count}).transpose(1, 2);
    };
    const at::Tensor full =
        reference::full_attention(heads_of("wq", plan.config.heads), heads_of("wk_cmp", plan.config.groups),
                                  heads_of("wv_cmp", plan.config.groups), plan.config.scale());
    return compare(module.prefill(x).out, project_out(module, full));
}

// The layer's output and what was measured on the way.
struct Computed {
    at::Tensor candidate;
    std::vector<std::pair<std::string, double>> more;
    std::vector<std::pair<Branch, RouteChoice>> routes;
    at::Tensor d_out = {};  // and its gradients, where they were asked for
    std::vector<GradientError> gradients = {};
    at::Tensor blocks = {};  // that a prefill chose
};

Computed prefilled(const TrialPlan& plan, NSAAttention& module, const at::Tensor& x, std::int64_t seed) {
    const PrefillResult ours = module.prefill(x);
    Computed computed{
        .candidate = ours.out, .more = {}, .routes = by_branch(ours.routes), .blocks = ours.blocks};
    if (plan.options.gradients) {
        computed.d_out = d_out_of(plan, ours.out, seed);
        computed.gradients = module_gradients(plan, module, x, computed.d_out);
        take_golden_truth(plan, computed.gradients, computed.more);
        append_gradient_metrics(computed.gradients, plan.options.dtype, computed.more);
    }
    // The identity is a layer of its own: with weights of its own, and with blocks of one token, which the
    // kernels of route cuda do not take.
    if (plan.golden || plan.options.route == Route::kCuda) return computed;
    const ErrorMetrics identity = identity_error(plan, x, seed);
    computed.more.emplace_back("identity_mae", identity.mae);
    computed.more.emplace_back("identity_max_abs", identity.max_abs);
    return computed;
}

Computed decoded(const TrialPlan& plan, NSAAttention& module, const at::Tensor& x) {
    constexpr std::int64_t kRoomAtFirst = 16;  // less than most sequences: the cache must grow on the way
    DecodeCache cache = module.make_cache(plan.options.batch, kRoomAtFirst);
    std::vector<at::Tensor> outputs;
    std::vector<StepResult> steps;
    std::int64_t misread = 0;
    for (std::int64_t t = 0; t < plan.options.seq; ++t) {
        steps.push_back(module.decode(x.select(1, t), cache));
        outputs.push_back(steps.back().out);
        if (steps.back().reads != expected_reads(t, plan.config)) ++misread;
    }
    // Early steps see few keys and may fall back; the facts state the route of the last step.
    const RoutesTaken& last = steps.back().routes;
    const auto rerouted = std::count_if(steps.begin(), steps.end(), [&](const StepResult& step) {
        return step.routes.cmp.taken != last.cmp.taken || step.routes.sel.taken != last.sel.taken ||
               step.routes.win.taken != last.win.taken;
    });
    const at::Tensor candidate = at::stack(outputs, 1);
    return {.candidate = candidate,
            .more = {{"mae_vs_prefill", compare(candidate, in_fp64(module.prefill(x).out)).mae},
                     {"reads_mismatches", static_cast<double>(misread)},
                     {"steps_on_another_route", static_cast<double>(rerouted)}},
            .routes = by_branch(last)};
}

// All attend the oracle's blocks: where two blocks are all but equally important, rounding decides which is
// chosen, and the outputs then differ by far more than rounding. `selection_agreement` says how often it
// chose these. The layer asks for route `reference` afterwards.
void judge_output(const TrialPlan& plan, NSAAttention& module, const at::Tensor& x,
                  const reference::ModuleResult& oracle, const at::Tensor& truth, Computed& computed) {
    const at::Tensor blocks = oracle.blocks.to(x.device());
    const at::Tensor ours = module.prefill(x, nullptr, blocks).out;
    module.ask_route(Route::kReference);
    const at::Tensor plain = moved(module.prefill(x, nullptr, blocks).out, oracle.out, truth);
    computed.more.emplace_back("bound_ratio", bound_ratio(ours, plain, truth, plan.options.dtype));
    const at::Tensor agreeing = computed.blocks.cpu().eq(oracle.blocks).all(-1);
    computed.more.emplace_back("selection_agreement", agreeing.to(at::kDouble).mean().item<double>());
}

// The weights of the golden file, which are those of such a layer (golden/contents.cpp).
void take_weights(const TrialPlan& plan, const NSAAttention& module) {
    for (const NamedTensor& parameter : module.parameters())
        parameter.tensor.copy_(golden_input(plan, "weight." + parameter.name));
}

TrialTensors tensors_of(const NSAAttention& module, const at::Tensor& x) {
    TrialTensors tensors{.inputs = {{"x", x}}, .truth = {}, .candidate = {}};
    for (const NamedTensor& parameter : module.parameters())
        tensors.inputs.emplace_back("weight." + parameter.name, parameter.tensor);
    return tensors;
}

}  // namespace

TrialResult module_trial(const TrialPlan& plan, std::int64_t seed) {
    const c10::NoGradGuard no_grad;
    const ParityOptions& o = plan.options;
    at::Generator generator = seeded_generator(seed);
    const at::Tensor x = plan.golden
                             ? golden_input(plan, "x")
                             : random_normal({o.batch, o.seq, plan.config.dim}, generator, options_of(plan));
    NSAAttention module{plan.config, options_of(plan), static_cast<std::uint64_t>(seed), plan.policy};
    if (plan.golden) take_weights(plan, module);
    TrialTensors tensors = tensors_of(module, x);
    const reference::ModuleResult oracle = oracle_of(plan, module, x);

    // The plain implementation of the layer: every branch spelled out with explicit masks.
    module.ask_route(Route::kReference);
    at::Tensor plain = module.prefill(x).out;

    SdpaAudit audit{std::cerr};
    ask_routes(module, o);
    if (plan.policy.sdpa_audit) module.set_audit(&audit);
    Computed by = o.subject == Subject::kModule ? prefilled(plan, module, x, seed) : decoded(plan, module, x);
    tensors.truth = truth_of(plan, oracle.out, plain, by.more);
    if (o.subject == Subject::kModule) judge_output(plan, module, x, oracle, tensors.truth, by);
    tensors.candidate = by.candidate;
    if (by.d_out.defined()) tensors.inputs.emplace_back("d_out", by.d_out);
    tensors.gradients = std::move(by.gradients);
    dump(plan, tensors, seed);
    return {.error = compare(by.candidate, tensors.truth),
            .baseline_mae = compare(plain, tensors.truth).mae,
            .more = std::move(by.more),
            .routes = std::move(by.routes),
            .audit = {audit.calls(), audit.misaligned_calls(), audit.nan_rows()}};
}

}  // namespace nsa::core::parity
