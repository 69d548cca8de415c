#include "nsa_core/parity/branch_cases.hpp"

#include <ATen/ATen.h>

#include "nsa_core/geometry.hpp"
#include "nsa_core/parity/golden_tensors.hpp"
#include "nsa_core/parity/metrics.hpp"

namespace nsa::core::parity {
namespace {

// The hypothesis about the published oracle. A distance of rounding size proves it.
More sliding_hypothesis(const TrialPlan& plan, const BranchQkv& in, const at::Tensor& candidate) {
    const at::Tensor first_key = reference::first_key_of_window(in.v, plan.config.heads, plan.config.w);
    return {{"mae_first_key_only", compare(candidate, first_key).mae}};
}

BranchCase sliding_case(const TrialPlan& plan, const BranchQkv& in, const Execution& how) {
    const std::int64_t w = plan.config.w;
    const double scale = plan.config.scale();
    const at::Tensor mask = sliding_mask(plan.options.seq, w, in.q.device());
    BranchCase branch{.candidate = [=](const auto& q, const auto& k,
                                       const auto& v) { return sliding_attention(q, k, v, w, scale, how); },
                      .plain = [=](const auto& q, const auto& k,
                                   const auto& v) { return plain_attention(q, k, v, mask, scale); },
                      .truth = reference::sliding_attention(in.q, in.k, in.v, w, scale),
                      .gradients =
                          [=](const at::Tensor& d_out) {
                              return reference::sliding_gradients(in.q, in.k, in.v, w, scale, d_out);
                          },
                      .more = {}};
    if (how.route == Route::kSdpaCausalOneQuery) {
        branch.more = [&plan, in](const at::Tensor& candidate) {
            return sliding_hypothesis(plan, in, candidate);
        };
    }
    return branch;
}

More compressed_hypothesis(const TrialPlan& plan, const BranchQkv& in, const at::Tensor& candidate) {
    const NsaConfig& config = plan.config;
    const at::Tensor mask = compressed_mask(plan.options.seq, config, at::kCPU);
    const at::Tensor first = reference::compress_mean(in.v, config.l, config.d).narrow(2, 0, 1);
    const at::Tensor by_head = first.repeat_interleave(config.heads_per_group(), 1);
    // Queries that see no compressed token yet give 0.
    const at::Tensor first_key = by_head * mask.any(-1, true).to(at::kDouble);
    return {{"mae_first_key_only", compare(candidate, first_key).mae}};
}

// Both sides start from the raw keys and values: the rounding of the compressed tokens is part of the error.
BranchCase compressed_case(const TrialPlan& plan, const BranchQkv& in, const Execution& how) {
    const NsaConfig config = plan.config;
    const at::Tensor mask = compressed_mask(plan.options.seq, config, in.q.device());
    const auto plain_mean = [=](const at::Tensor& rows) {
        return rows.unfold(2, config.l, config.d).mean(-1);
    };
    const auto mean = [=](const at::Tensor& rows) {
        return reference::compress_mean(rows, config.l, config.d);
    };
    const auto attend = [=](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
        const KeysValues tokens = compress_mean({.k = k, .v = v}, config, how);
        return compressed_attention(q, tokens.k, tokens.v, config, how);
    };
    const auto plain = [=](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
        return plain_attention(q, plain_mean(k), plain_mean(v), mask, config.scale());
    };
    const auto gradients = [=](const at::Tensor& d_out) {
        const reference::Gradients d =
            reference::compressed_gradients(in.q, mean(in.k), mean(in.v), config, d_out);
        const auto of_rows = [&](const at::Tensor& d_tokens) {
            return reference::compress_mean_gradient(d_tokens, in.k.size(2), config.l, config.d);
        };
        return reference::Gradients{.q = d.q, .k = of_rows(d.k), .v = of_rows(d.v)};
    };
    BranchCase branch{.candidate = attend,
                      .plain = plain,
                      .truth = reference::compressed_attention(in.q, mean(in.k), mean(in.v), config),
                      .gradients = gradients,
                      .more = {}};
    if (how.route == Route::kSdpaCausalOneQuery) {
        branch.more = [&plan, in](const at::Tensor& candidate) {
            return compressed_hypothesis(plan, in, candidate);
        };
    }
    return branch;
}

// How often the choice is the oracle's, and how exact the importance is.
More selection_metrics(const TrialPlan& plan, const BranchQkv& in, const at::Tensor& true_importance,
                       const at::Tensor& true_blocks, const Execution& how) {
    const NsaConfig& config = plan.config;
    const KeysValues tokens = compress_mean({.k = in.k, .v = in.v}, config, how);
    const at::Tensor importance =
        block_importance(in.q, tokens.k, 0, block_count(plan.options.seq, config), config);
    const at::Tensor blocks = choose_blocks(in.q, tokens, config, how).cpu();
    const double agreeing = blocks.eq(true_blocks).all(-1).to(at::kDouble).mean().item<double>();
    return {{"importance_mae", compare(importance, true_importance).mae}, {"selection_agreement", agreeing}};
}

// The attention is compared over the true blocks, those of the golden file or the oracle's: where two blocks
// are all but equally important, rounding decides which is chosen, and the outputs then differ by far more
// than rounding.
BranchCase selected_case(const TrialPlan& plan, const BranchQkv& in, const Execution& how) {
    const NsaConfig config = plan.config;
    const at::Tensor importance =
        reference::block_importance(in.q, reference::compress_mean(in.k, config.l, config.d), config);
    const at::Tensor golden = plan.golden ? golden_tensor(plan, "blocks") : at::Tensor{};
    const at::Tensor blocks =
        golden.defined() ? golden.to(at::kLong) : reference::select_blocks(importance, config);
    const at::Tensor given = blocks.to(in.q.device());
    const at::Tensor mask = selected_mask(given, config);
    return {.candidate = [=](const auto& q, const auto& k,
                             const auto& v) { return selected_attention(q, k, v, given, config, how); },
            .plain = [=](const auto& q, const auto& k,
                         const auto& v) { return plain_attention(q, k, v, mask, config.scale()); },
            .truth = reference::selected_attention(in.q, in.k, in.v, blocks, config),
            .gradients =
                [=](const at::Tensor& d_out) {
                    return reference::selected_gradients(in.q, in.k, in.v, blocks, config, d_out);
                },
            .more = [=, &plan](
                        const at::Tensor&) { return selection_metrics(plan, in, importance, blocks, how); },
            .blocks = blocks};
}

}  // namespace

BranchCase branch_case(const TrialPlan& plan, const BranchQkv& in, const Execution& how) {
    switch (plan.options.subject) {
        case Subject::kSliding:
            return sliding_case(plan, in, how);
        case Subject::kCompressed:
            return compressed_case(plan, in, how);
        case Subject::kSelected:
            return selected_case(plan, in, how);
        case Subject::kModule:
        case Subject::kDecode:
        case Subject::kDecodeStep:
            break;
    }
    TORCH_CHECK(false, "a branch case was asked for a subject that is no branch");
}

}  // namespace nsa::core::parity
