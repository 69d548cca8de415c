// Parity of one branch alone.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <iostream>

#include "nsa_core/attention.hpp"
#include "nsa_core/device.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/parity/golden_tensors.hpp"
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

// One branch by every implementation: the candidate, the oracle, and the plain one of the same dtype.
struct Computed {
    at::Tensor candidate;
    at::Tensor oracle;
    at::Tensor plain;
    std::vector<std::pair<std::string, double>> more = {};
    at::Tensor blocks = {};  // of the selected branch: the blocks that all three attended
};

Inputs random_inputs(const TrialPlan& plan, std::int64_t seed) {
    const ParityOptions& o = plan.options;
    at::Generator generator = seeded_generator(seed);
    const auto options = at::TensorOptions{scalar_type(o.dtype)}.device(tools::torch_device(plan.device));
    return {.q = random_normal({o.batch, o.heads, o.seq, o.dk}, generator, options),
            .k = random_normal({o.batch, o.groups, o.seq, o.dk}, generator, options),
            .v = random_normal({o.batch, o.groups, o.seq, o.dv}, generator, options)};
}

Inputs golden_inputs(const TrialPlan& plan) {
    return {.q = golden_input(plan, "q"), .k = golden_input(plan, "k"), .v = golden_input(plan, "v")};
}

Computed sliding(const TrialPlan& plan, const Inputs& in, const Execution& how) {
    const std::int64_t w = plan.config.w;
    const double scale = plan.config.scale();
    const at::Tensor mask = sliding_mask(plan.options.seq, w, in.q.device());
    Computed computed{.candidate = sliding_attention(in.q, in.k, in.v, w, scale, how),
                      .oracle = reference::sliding_attention(in.q, in.k, in.v, w, scale),
                      .plain = plain_attention(in.q, in.k, in.v, mask, scale)};
    if (how.route == Route::kSdpaCausalOneQuery) {
        // The hypothesis about the published oracle. A distance of rounding size proves it.
        const at::Tensor first_key = reference::first_key_of_window(in.v, plan.config.heads, w);
        computed.more.emplace_back("mae_first_key_only", compare(computed.candidate, first_key).mae);
    }
    return computed;
}

// Both sides start from the raw keys and values: the rounding of the compressed tokens is part of the error.
Computed compressed(const TrialPlan& plan, const Inputs& in, const Execution& how) {
    const NsaConfig& config = plan.config;
    const auto plain_mean = [&](const at::Tensor& rows) {
        return rows.unfold(2, config.l, config.d).mean(-1);
    };
    const at::Tensor mask = compressed_mask(plan.options.seq, config, in.q.device());
    Computed computed{
        .candidate =
            compressed_attention(in.q, compress_mean(in.k, config), compress_mean(in.v, config), config, how),
        .oracle = reference::compressed_attention(in.q, reference::compress_mean(in.k, config.l, config.d),
                                                  reference::compress_mean(in.v, config.l, config.d), config),
        .plain = plain_attention(in.q, plain_mean(in.k), plain_mean(in.v), mask, config.scale())};
    if (how.route == Route::kSdpaCausalOneQuery) {
        const at::Tensor first = reference::compress_mean(in.v, config.l, config.d).narrow(2, 0, 1);
        const at::Tensor by_head = first.repeat_interleave(config.heads_per_group(), 1);
        // Queries that see no compressed token yet give 0.
        const at::Tensor first_key = by_head * mask.cpu().any(-1, true).to(at::kDouble);
        computed.more.emplace_back("mae_first_key_only", compare(computed.candidate, first_key).mae);
    }
    return computed;
}

// The attention is compared over the true blocks, those of the golden file or the oracle's: where two blocks
// are all but equally important, rounding decides which is chosen, and the outputs then differ by far more
// than rounding. How often that happens, and how exact the importance is, are metrics of their own.
Computed selected(const TrialPlan& plan, const Inputs& in, const Execution& how) {
    const NsaConfig& config = plan.config;
    const std::int64_t seq = plan.options.seq;
    const at::Tensor true_importance =
        reference::block_importance(in.q, reference::compress_mean(in.k, config.l, config.d), config);
    at::Tensor true_blocks = plan.golden ? golden_tensor(plan, "blocks") : at::Tensor{};
    true_blocks =
        true_blocks.defined() ? true_blocks.to(at::kLong) : reference::select_blocks(true_importance, config);
    const at::Tensor importance =
        block_importance(in.q, compress_mean(in.k, config), 0, block_count(seq, config), config);
    const at::Tensor blocks = select_blocks(importance, 0, config).cpu();

    const at::Tensor given = true_blocks.to(in.q.device());
    const double agreeing = blocks.eq(true_blocks).all(-1).to(at::kDouble).mean().item<double>();
    return {.candidate = selected_attention(in.q, in.k, in.v, given, config, how),
            .oracle = reference::selected_attention(in.q, in.k, in.v, true_blocks, config),
            .plain = plain_attention(in.q, in.k, in.v, selected_mask(given, config), config.scale()),
            .more = {{"importance_mae", compare(importance, true_importance).mae},
                     {"selection_agreement", agreeing}},
            .blocks = true_blocks};
}

Computed computed(const TrialPlan& plan, const Inputs& in, const Execution& how) {
    switch (plan.options.subject) {
        case Subject::kSliding:
            return sliding(plan, in, how);
        case Subject::kCompressed:
            return compressed(plan, in, how);
        case Subject::kSelected:
            return selected(plan, in, how);
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
    const Inputs in = plan.golden ? golden_inputs(plan) : random_inputs(plan, seed);
    Computed by = computed(plan, in, how);
    TrialTensors tensors{.inputs = {{"q", in.q}, {"k", in.k}, {"v", in.v}},
                         .truth = truth_of(plan, by.oracle, by.more),
                         .candidate = by.candidate};
    if (by.blocks.defined()) tensors.inputs.emplace_back("blocks", by.blocks);
    dump(plan, tensors, seed);
    return {.error = compare(by.candidate, tensors.truth),
            .baseline_mae = compare(by.plain, tensors.truth).mae,
            .more = std::move(by.more),
            .routes = plan.routes,
            .audit = {audit.calls(), audit.misaligned_calls(), audit.nan_rows()}};
}

}  // namespace nsa::core::parity
