// Parity of one branch alone.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <iostream>

#include "nsa_core/attention.hpp"
#include "nsa_core/device.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/parity/metrics.hpp"
#include "nsa_core/parity/trial.hpp"
#include "nsa_core/reference.hpp"
#include "nsa_core/sdpa_audit.hpp"
#include "nsa_core/tools/torch_device.hpp"

namespace nsa::core::parity {
namespace {

struct Inputs {
    at::Tensor q;  // [B,H,S,dk]
    at::Tensor k;  // [B,G,S,dk]
    at::Tensor v;  // [B,G,S,dv]
};

Inputs random_inputs(const TrialPlan& plan, std::int64_t seed) {
    const ParityOptions& o = plan.options;
    at::Generator generator = seeded_generator(seed);
    const auto options = at::TensorOptions{scalar_type(o.dtype)}.device(tools::torch_device(plan.device));
    return {.q = random_normal({o.batch, o.heads, o.seq, o.dk}, generator, options),
            .k = random_normal({o.batch, o.groups, o.seq, o.dk}, generator, options),
            .v = random_normal({o.batch, o.groups, o.seq, o.dv}, generator, options)};
}

TrialResult sliding_trial(const TrialPlan& plan, const Inputs& in, const Execution& how) {
    const std::int64_t w = plan.config.w;
    const double scale = plan.config.scale();
    const at::Tensor candidate = sliding_attention(in.q, in.k, in.v, w, scale, how);
    const at::Tensor truth = reference::sliding_attention(in.q, in.k, in.v, w, scale);
    const at::Tensor mask = sliding_mask(plan.options.seq, w, in.q.device());
    TrialResult result{.error = compare(candidate, truth),
                       .baseline_mae = compare(plain_attention(in.q, in.k, in.v, mask, scale), truth).mae,
                       .more = {},
                       .routes = {},
                       .audit = {}};
    if (how.route == Route::kSdpaCausalOneQuery) {
        // The hypothesis about the published oracle. A distance of rounding size proves it.
        const at::Tensor first_key = reference::first_key_of_window(in.v, plan.config.heads, w);
        result.more.emplace_back("mae_first_key_only", compare(candidate, first_key).mae);
    }
    return result;
}

// Both sides start from the raw keys and values: the rounding of the compressed tokens is part of the error.
TrialResult compressed_trial(const TrialPlan& plan, const Inputs& in, const Execution& how) {
    const NsaConfig& config = plan.config;
    const at::Tensor candidate =
        compressed_attention(in.q, compress_mean(in.k, config), compress_mean(in.v, config), config, how);
    const at::Tensor truth =
        reference::compressed_attention(in.q, reference::compress_mean(in.k, config.l, config.d),
                                        reference::compress_mean(in.v, config.l, config.d), config);
    const auto plain_mean = [&](const at::Tensor& rows) {
        return rows.unfold(2, config.l, config.d).mean(-1);
    };
    const at::Tensor mask = compressed_mask(plan.options.seq, config, in.q.device());
    const at::Tensor plain = plain_attention(in.q, plain_mean(in.k), plain_mean(in.v), mask, config.scale());
    TrialResult result{.error = compare(candidate, truth),
                       .baseline_mae = compare(plain, truth).mae,
                       .more = {},
                       .routes = {},
                       .audit = {}};
    if (how.route == Route::kSdpaCausalOneQuery) {
        const at::Tensor first = reference::compress_mean(in.v, config.l, config.d).narrow(2, 0, 1);
        const at::Tensor by_head = first.repeat_interleave(config.heads_per_group(), 1);
        // Queries that see no compressed token yet give 0.
        const at::Tensor first_key = by_head * mask.cpu().any(-1, true).to(at::kDouble);
        result.more.emplace_back("mae_first_key_only", compare(candidate, first_key).mae);
    }
    return result;
}

// The attention is compared over the oracle's blocks: where two blocks are all but equally important,
// rounding decides which is chosen, and the outputs then differ by far more than rounding. How often that
// happens, and how exact the importance is, are metrics of their own.
TrialResult selected_trial(const TrialPlan& plan, const Inputs& in, const Execution& how) {
    const NsaConfig& config = plan.config;
    const std::int64_t seq = plan.options.seq;
    const at::Tensor true_importance =
        reference::block_importance(in.q, reference::compress_mean(in.k, config.l, config.d), config);
    const at::Tensor true_blocks = reference::select_blocks(true_importance, config);
    const at::Tensor importance =
        block_importance(in.q, compress_mean(in.k, config), 0, block_count(seq, config), config);
    const at::Tensor blocks = select_blocks(importance, 0, config).cpu();

    const at::Tensor given = true_blocks.to(in.q.device());
    const at::Tensor candidate = selected_attention(in.q, in.k, in.v, given, config, how);
    const at::Tensor truth = reference::selected_attention(in.q, in.k, in.v, true_blocks, config);
    const at::Tensor plain = plain_attention(in.q, in.k, in.v, selected_mask(given, config), config.scale());
    const double agreeing = blocks.eq(true_blocks).all(-1).to(at::kDouble).mean().item<double>();
    return {.error = compare(candidate, truth),
            .baseline_mae = compare(plain, truth).mae,
            .more = {{"importance_mae", compare(importance, true_importance).mae},
                     {"selection_agreement", agreeing}},
            .routes = {},
            .audit = {}};
}

TrialResult branch_trial(const TrialPlan& plan, const Inputs& in, const Execution& how) {
    switch (plan.options.subject) {
        case Subject::kSliding:
            return sliding_trial(plan, in, how);
        case Subject::kCompressed:
            return compressed_trial(plan, in, how);
        case Subject::kSelected:
            return selected_trial(plan, in, how);
        case Subject::kModule:
        case Subject::kDecode:
        case Subject::kDecodeStep:
            break;
    }
    TORCH_CHECK(false, "attention_trial was given a subject that is no branch");
}

}  // namespace

TrialResult attention_trial(const TrialPlan& plan, std::int64_t seed) {
    const c10::NoGradGuard no_grad;
    SdpaAudit audit{std::cerr};
    const RouteChoice& choice = plan.routes.front().second;
    const Execution how{.route = choice.taken, .audit = plan.policy.sdpa_audit ? &audit : nullptr};
    TrialResult result = branch_trial(plan, random_inputs(plan, seed), how);
    result.routes = plan.routes;
    result.audit = {audit.calls(), audit.misaligned_calls(), audit.nan_rows()};
    return result;
}

}  // namespace nsa::core::parity
