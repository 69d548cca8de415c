// The whole layer against the oracle, with every option, and what the policy does to it.
#include "nsa_core/module.hpp"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cases.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/reference.hpp"
#include "nsa_core/src/parameter_shapes.hpp"

namespace nsa::core {
namespace {

using test::Case;
using test::grid;
using test::max_abs;

at::Tensor input(const Case& c, at::ScalarType type) {
    return test::random({c.batch, c.length, c.config.dim}, 11, type);
}

NSAAttention module_of(const NsaConfig& config, at::ScalarType type, RoutePolicy policy = {}) {
    return {config, at::TensorOptions{}.dtype(type), /*seed=*/7, policy};
}

TEST(Module, has_the_weights_that_its_configuration_says_without_one) {
    for (const Compressor compressor : {Compressor::kMean, Compressor::kMlp}) {
        NsaConfig config = grid()[0].config;
        config.compressor = compressor;
        const NSAAttention module = module_of(config, at::kFloat);
        const std::vector<ParameterShape> shapes = parameter_shapes(config);
        ASSERT_EQ(shapes.size(), module.parameters().size());
        for (std::size_t i = 0; i < shapes.size(); ++i) {
            EXPECT_EQ(shapes[i].name, module.parameters()[i].name);
            EXPECT_EQ(at::IntArrayRef{shapes[i].shape}, module.parameters()[i].tensor.sizes());
        }
    }
}

// Rounding may turn a near tie of two blocks around; then the smaller of the two picks must be as important
// as the other within `bound`. Returns the queries [B,G,S] whose picks agree; fails the test otherwise.
at::Tensor agreeing_queries(const at::Tensor& picked, const reference::ModuleResult& truth, double bound) {
    const at::Tensor agree = picked.eq(truth.blocks).all(-1);
    const auto least = [&](const at::Tensor& blocks) {
        return truth.importance.gather(3, blocks.clamp_min(0)).masked_fill(blocks.lt(0), 1e9).amin(-1);
    };
    EXPECT_LT(max_abs(least(picked), least(truth.blocks)), bound);
    return agree;
}

void expect_equal_to_oracle(const Case& c, at::ScalarType type) {
    const at::Tensor x = input(c, type);
    for (const Route route : {Route::kReference, Route::kSdpa}) {
        SCOPED_TRACE(c.name + ", " + c10::toString(type) + ", " + std::string{name(route)});
        NSAAttention module = module_of(c.config, type);
        module.ask_route(route);
        const PrefillResult r = module.prefill(x);
        const reference::ModuleResult truth = reference::module_forward(c.config, module.parameters(), x);
        EXPECT_LT(max_abs(r.cmp, truth.cmp), test::tolerance(type));
        EXPECT_LT(max_abs(r.win, truth.win), test::tolerance(type));
        const at::Tensor agree = agreeing_queries(r.blocks, truth, test::tolerance(type)).all(1);  // [B,S]
        EXPECT_GT(agree.to(at::kDouble).mean().item<double>(), 0.98);
        EXPECT_LT(max_abs(r.out * agree.unsqueeze(-1), truth.out * agree.unsqueeze(-1)),
                  2 * test::tolerance(type));
    }
}

TEST(Module, equals_the_oracle_over_the_grid_in_fp64) {
    for (const Case& c : grid())
        expect_equal_to_oracle(c, at::kDouble);
}

TEST(Module, equals_the_oracle_over_the_grid_in_fp32) {
    for (const Case& c : grid())
        expect_equal_to_oracle(c, at::kFloat);
}

TEST(Module, equals_the_oracle_with_every_option) {
    for (const Compressor compressor : {Compressor::kMean, Compressor::kMlp}) {
        for (const GateKind gate : {GateKind::kSigmoid, GateKind::kSoftmax}) {
            for (const bool rope : {false, true}) {
                Case c = grid()[3];
                c.config.compressor = compressor;
                c.config.gate = gate;
                c.config.rope = rope;
                expect_equal_to_oracle(c, at::kDouble);
            }
        }
    }
}

TEST(Module, a_softmax_gate_sums_to_one_and_a_sigmoid_gate_lies_between_zero_and_one) {
    Case c = grid()[3];
    const at::Tensor x = input(c, at::kDouble);
    const at::Tensor sigmoid = module_of(c.config, at::kDouble).prefill(x).gates;
    EXPECT_TRUE(sigmoid.gt(0).logical_and(sigmoid.lt(1)).all().item<bool>());
    c.config.gate = GateKind::kSoftmax;
    const at::Tensor softmax = module_of(c.config, at::kDouble).prefill(x).gates;
    EXPECT_LT(max_abs(softmax.sum(-1), at::ones({c.batch, c.config.heads, c.length}, at::kDouble)), 1e-14);
}

TEST(Module, a_forced_branch_alone_reaches_the_output) {
    const Case& c = grid()[3];
    const at::Tensor x = input(c, at::kDouble);
    for (const Branch branch : kBranches) {
        const NSAAttention module = module_of(c.config, at::kDouble, {.force_branch = branch});
        const PrefillResult r = module.prefill(x);
        const at::Tensor& forced =
            branch == Branch::kCompressed ? r.cmp : (branch == Branch::kSelected ? r.sel : r.win);
        const at::Tensor& wo = module.parameters()[11].tensor;
        ASSERT_EQ(module.parameters()[11].name, "wo");
        EXPECT_LT(max_abs(r.out, at::linear(forced.transpose(1, 2).flatten(2, 3), wo)), 1e-14)
            << name(branch);
    }
}

TEST(Module, routes_taken_say_what_ran_and_why) {
    const Case& c = grid()[3];
    NSAAttention module = module_of(c.config, at::kFloat, {.use_fa2 = true});
    const RoutesTaken automatic = module.prefill(input(c, at::kFloat)).routes;
    EXPECT_EQ(automatic.win.taken, Route::kSdpa);
    EXPECT_THAT(automatic.win.reason, testing::HasSubstr("needs a CUDA device"));
    EXPECT_EQ(automatic.sel.reason, "") << "no flag asks FA2 of the selected branch";
    module.ask_route(Branch::kSelected, Route::kReference);
    const RoutesTaken asked = module.prefill(input(c, at::kFloat)).routes;
    EXPECT_EQ(asked.sel.taken, Route::kReference);
    EXPECT_EQ(asked.win.taken, Route::kSdpa);
}

TEST(Module, one_seed_gives_one_layer_in_every_dtype) {
    const NsaConfig& config = grid()[3].config;
    const NSAAttention wide = module_of(config, at::kDouble);
    const NSAAttention narrow = module_of(config, at::kFloat);
    for (std::size_t i = 0; i < wide.parameters().size(); ++i) {
        const at::Tensor& w = wide.parameters()[i].tensor;
        EXPECT_TRUE(at::equal(w.to(at::kFloat), narrow.parameters()[i].tensor)) << wide.parameters()[i].name;
        EXPECT_TRUE(w.requires_grad());
        EXPECT_TRUE(w.is_leaf());
    }
    const NSAAttention other{config, at::TensorOptions{}.dtype(at::kDouble), /*seed=*/8};
    EXPECT_FALSE(at::equal(wide.parameters()[0].tensor, other.parameters()[0].tensor));
}

TEST(Module, wrong_inputs_are_refused_with_what_would_be_right) {
    const Case& c = grid()[3];
    const NSAAttention module = module_of(c.config, at::kFloat);
    EXPECT_THROW((void)module.prefill(input(c, at::kDouble)), InputError);
    EXPECT_THROW((void)module.prefill(input(c, at::kFloat).narrow(2, 0, 5)), InputError);
    EXPECT_THROW((void)module.prefill(input(c, at::kFloat).narrow(1, 0, 0)), InputError);
    DecodeCache cache = module.make_cache(2, 8);
    EXPECT_THROW((void)module.prefill(input(c, at::kFloat), &cache), InputError)
        << "batch 1 into a cache of 2";
    EXPECT_THROW((void)module.decode(at::zeros({1, 24}), cache), InputError);
    EXPECT_THROW(module.make_cache(0, 8), InputError);
    NsaConfig bad = c.config;
    bad.d = 3;
    EXPECT_THROW(module_of(bad, at::kFloat), InputError);
}

}  // namespace
}  // namespace nsa::core
