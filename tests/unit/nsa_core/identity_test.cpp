// Configured to cover all tokens, each branch is plain causal attention.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "cases.hpp"
#include "nsa_core/module.hpp"
#include "nsa_core/reference.hpp"

namespace nsa::core {
namespace {

using test::mean_abs;

// The module with its gate forced to `branch`, against full attention over the weights of that branch.
double distance_to_full_attention(NsaConfig config, Branch branch, Route route, at::ScalarType type) {
    const std::int64_t length = 96;
    if (branch == Branch::kCompressed) config.l = config.d = 1;  // every token is its own compressed token
    if (branch == Branch::kSelected) config.n = length / config.l_sel + 1;
    if (branch == Branch::kSliding) config.w = length;
    NSAAttention module{config, at::TensorOptions{}.dtype(type), /*seed=*/13, {.force_branch = branch}};
    module.ask_route(route);
    const at::Tensor x = test::random({2, length, config.dim}, 41, type);
    const auto weight = [&](const std::string& name) {
        for (const NamedTensor& parameter : module.parameters()) {
            if (parameter.name == name) return parameter.tensor.detach();
        }
        throw std::out_of_range(name);
    };
    const auto project = [&](const std::string& name, std::int64_t heads) {
        return at::linear(x, weight(name)).view({2, length, heads, -1}).transpose(1, 2);
    };
    const std::string suffix =
        branch == Branch::kCompressed ? "_cmp" : (branch == Branch::kSelected ? "_sel" : "_win");
    const at::Tensor full =
        reference::full_attention(project("wq", config.heads), project("wk" + suffix, config.groups),
                                  project("wv" + suffix, config.groups), config.scale());
    const at::Tensor truth = at::linear(full.transpose(1, 2).flatten(2, 3), weight("wo").to(at::kDouble));
    return mean_abs(module.prefill(x).out, truth);
}

TEST(Identity, every_branch_that_covers_all_tokens_equals_full_attention) {
    for (const Branch branch : kBranches) {
        for (const Route route : {Route::kReference, Route::kSdpa}) {
            SCOPED_TRACE(std::string{name(branch)} + ", " + std::string{name(route)});
            const NsaConfig& config = test::grid()[3].config;
            EXPECT_LT(distance_to_full_attention(config, branch, route, at::kDouble), 1e-12);
            EXPECT_LT(distance_to_full_attention(config, branch, route, at::kFloat), 1e-5);
        }
    }
}

// The check can fail: a window one token short of the sequence is another function.
TEST(Identity, a_window_one_token_short_differs_from_full_attention) {
    const test::Case& c = test::grid()[3];
    const test::Inputs in = test::random_inputs(c, at::kDouble);
    const at::Tensor full = full_attention(in.q, in.k, in.v, c.config.scale(), {});
    EXPECT_LT(mean_abs(full, sliding_attention(in.q, in.k, in.v, c.length, c.config.scale(), {})), 1e-15);
    EXPECT_GT(mean_abs(full, sliding_attention(in.q, in.k, in.v, c.length - 1, c.config.scale(), {})), 1e-6);
}

}  // namespace
}  // namespace nsa::core
