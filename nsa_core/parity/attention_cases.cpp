// Parity of one branch alone.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <iostream>

#include "nsa_core/device.hpp"
#include "nsa_core/parity/branch_cases.hpp"
#include "nsa_core/parity/golden_tensors.hpp"
#include "nsa_core/parity/gradients.hpp"
#include "nsa_core/parity/metrics.hpp"
#include "nsa_core/parity/trial.hpp"
#include "nsa_core/sdpa_audit.hpp"
#include "nsa_core/tools/torch_device.hpp"

namespace nsa::core::parity {
namespace {

BranchQkv random_inputs(const TrialPlan& plan, std::int64_t seed) {
    const ParityOptions& o = plan.options;
    at::Generator generator = seeded_generator(seed);
    const auto options = at::TensorOptions{scalar_type(o.dtype)}.device(tools::torch_device(plan.device));
    return {.q = random_normal({o.batch, o.heads, o.seq, o.dk}, generator, options),
            .k = random_normal({o.batch, o.groups, o.seq, o.dk}, generator, options),
            .v = random_normal({o.batch, o.groups, o.seq, o.dv}, generator, options)};
}

BranchQkv golden_inputs(const TrialPlan& plan) {
    return {.q = golden_input(plan, "q"), .k = golden_input(plan, "k"), .v = golden_input(plan, "v")};
}

std::vector<GradientError> gradients(const BranchQkv& in, const BranchCase& branch, const at::Tensor& d_out) {
    const reference::Gradients truth = branch.gradients(d_out);
    const auto ours = gradients_of(branch.candidate, in.q, in.k, in.v, d_out);
    const auto plain = gradients_of(branch.plain, in.q, in.k, in.v, d_out);
    return {{"dq", "q", ours[0], plain[0], truth.q},
            {"dk", "k", ours[1], plain[1], truth.k},
            {"dv", "v", ours[2], plain[2], truth.v}};
}

}  // namespace

TrialResult attention_trial(const TrialPlan& plan, std::int64_t seed) {
    const c10::NoGradGuard no_grad;
    SdpaAudit audit{std::cerr};
    const RouteChoice& choice = plan.routes.front().second;
    const Execution how{.route = choice.taken, .audit = plan.policy.sdpa_audit ? &audit : nullptr};
    const BranchQkv in = plan.golden ? golden_inputs(plan) : random_inputs(plan, seed);
    const BranchCase branch = branch_case(plan, in, how);
    const at::Tensor candidate = branch.candidate(in.q, in.k, in.v);
    at::Tensor plain = branch.plain(in.q, in.k, in.v);
    More more = branch.more ? branch.more(candidate) : More{};
    TrialTensors tensors{.inputs = {{"q", in.q}, {"k", in.k}, {"v", in.v}},
                         .truth = truth_of(plan, branch.truth, plain, more),
                         .candidate = candidate};
    if (branch.blocks.defined()) tensors.inputs.emplace_back("blocks", branch.blocks);
    more.emplace_back("bound_ratio", bound_ratio(candidate, plain, tensors.truth, plan.options.dtype));
    if (plan.options.gradients) {
        const at::Tensor d_out = d_out_of(plan, candidate, seed);
        tensors.inputs.emplace_back("d_out", d_out);
        tensors.gradients = gradients(in, branch, d_out);
        take_golden_truth(plan, tensors.gradients, more);
        append_gradient_metrics(tensors.gradients, plan.options.dtype, more);
    }
    dump(plan, tensors, seed);
    return {.error = compare(candidate, tensors.truth),
            .baseline_mae = compare(plain, tensors.truth).mae,
            .more = std::move(more),
            .routes = plan.routes,
            .audit = {audit.calls(), audit.misaligned_calls(), audit.nan_rows()}};
}

}  // namespace nsa::core::parity
