// Gradients: of the oracle and of prefill against central differences in fp64, and of every branch on the CPU
// routes against the oracle's.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>

#include "cases.hpp"
#include "nsa_core/attention.hpp"
#include "nsa_core/module.hpp"
#include "nsa_core/reference.hpp"

namespace nsa::core {
namespace {

using reference::Gradients;
using test::Case;
using test::grid;
using test::Inputs;
using test::max_abs;

struct Problem {
    const NSAAttention& module;
    at::Tensor x;
    at::Tensor weight;  // of the loss, so that every output counts differently

    [[nodiscard]] at::Tensor loss() const { return module.prefill(x).out.mul(weight).sum(); }
};

// Change of the loss along a random direction of `leaf`, by central differences and by autograd.
void expect_directional_derivative(const Problem& p, at::Tensor leaf, std::uint64_t seed) {
    const at::Tensor direction = test::random(leaf.sizes(), seed);
    constexpr double kStep = 1e-6;
    double numeric = 0.0;
    {
        const at::NoGradGuard no_grad;
        const at::Tensor kept = leaf.clone();
        leaf.copy_(kept + kStep * direction);
        numeric = p.loss().item<double>();
        leaf.copy_(kept - kStep * direction);
        numeric = (numeric - p.loss().item<double>()) / (2 * kStep);
        leaf.copy_(kept);
    }
    ASSERT_TRUE(leaf.grad().defined());
    const double analytic = leaf.grad().mul(direction).sum().item<double>();
    EXPECT_NEAR(analytic, numeric, 1e-6 * std::max(1.0, std::abs(numeric)));
}

void check_gradients(const NsaConfig& config, std::int64_t batch, std::int64_t length, Route route) {
    NSAAttention module{config, at::TensorOptions{}.dtype(at::kDouble), /*seed=*/5};
    module.ask_route(route);
    Problem p{.module = module,
              .x = test::random({batch, length, config.dim}, 31).set_requires_grad(true),
              .weight = test::random({batch, length, config.dim}, 32)};
    p.loss().backward();
    std::uint64_t seed = 100;
    for (const NamedTensor& parameter : module.parameters()) {
        SCOPED_TRACE(parameter.name);
        expect_directional_derivative(p, parameter.tensor, ++seed);
    }
    SCOPED_TRACE("x");
    expect_directional_derivative(p, p.x, ++seed);
}

TEST(Gradients, match_central_differences_on_every_cpu_route) {
    for (const Route route : {Route::kReference, Route::kSdpa}) {
        SCOPED_TRACE(name(route));
        check_gradients(grid()[3].config, 1, 83, route);
    }
}

TEST(Gradients, match_central_differences_with_every_option) {
    NsaConfig config = grid()[3].config;
    config.compressor = Compressor::kMlp;
    config.gate = GateKind::kSoftmax;
    config.rope = true;
    config.dv = 6;
    check_gradients(config, 2, 41, Route::kReference);
}

TEST(Gradients, are_finite_where_a_query_sees_no_compressed_token) {
    for (const Route route : {Route::kReference, Route::kSdpa}) {
        NSAAttention module{grid()[3].config, at::TensorOptions{}.dtype(at::kDouble), /*seed=*/5};
        module.ask_route(route);
        module.prefill(test::random({1, 9, 24}, 33)).out.sum().backward();
        for (const NamedTensor& parameter : module.parameters()) {
            EXPECT_TRUE(parameter.tensor.grad().isfinite().all().item<bool>()) << parameter.name;
        }
    }
}

constexpr Route kCpuRoutes[] = {Route::kReference, Route::kSdpa};

at::Tensor random_d_out(const Case& c) {
    return test::random({c.batch, c.config.heads, c.length, c.config.dv}, 77);
}

template <class Attend>
Gradients by_autograd(const Inputs& in, const at::Tensor& d_out, const Attend& attend) {
    const auto leaf = [](const at::Tensor& x) { return x.detach().requires_grad_(true); };
    const Inputs leaves{.q = leaf(in.q), .k = leaf(in.k), .v = leaf(in.v)};
    attend(leaves).backward(d_out);
    // Without a compressed token, keys and values play no part.
    const auto gradient = [](const at::Tensor& x) {
        return x.grad().defined() ? x.grad() : at::zeros_like(x).detach();
    };
    return {.q = gradient(leaves.q), .k = gradient(leaves.k), .v = gradient(leaves.v)};
}

void expect_equal(const Gradients& ours, const Gradients& truth) {
    EXPECT_LT(max_abs(ours.q, truth.q), 1e-11);
    EXPECT_LT(max_abs(ours.k, truth.k), 1e-11);
    EXPECT_LT(max_abs(ours.v, truth.v), 1e-11);
}

// Calls check(case, inputs, gradient of the output, how) in fp64 for every case of the grid and route.
template <class Check>
void over_grid_and_routes(const Check& check) {
    for (const Case& c : grid()) {
        const Inputs in = test::random_inputs(c, at::kDouble);
        for (const Route route : kCpuRoutes) {
            SCOPED_TRACE(c.name + ", " + std::string{name(route)});
            check(c, in, random_d_out(c), Execution{.route = route});
        }
    }
}

TEST(BranchGradients, of_sliding_equal_the_oracle_on_every_cpu_route) {
    over_grid_and_routes([](const Case& c, const Inputs& in, const at::Tensor& d_out, const Execution& how) {
        const NsaConfig& n = c.config;
        expect_equal(by_autograd(in, d_out,
                                 [&](const Inputs& x) {
                                     return sliding_attention(x.q, x.k, x.v, n.w, n.scale(), how);
                                 }),
                     reference::sliding_gradients(in.q, in.k, in.v, n.w, n.scale(), d_out));
    });
}

TEST(BranchGradients, of_compressed_equal_the_oracle_on_every_cpu_route) {
    over_grid_and_routes([](const Case& c, const Inputs& in, const at::Tensor& d_out, const Execution& how) {
        const NsaConfig& n = c.config;
        const at::Tensor k = reference::compress_mean(in.k, n.l, n.d);
        const at::Tensor v = reference::compress_mean(in.v, n.l, n.d);
        Gradients truth = reference::compressed_gradients(in.q, k, v, n, d_out);
        truth.k = reference::compress_mean_gradient(truth.k, c.length, n.l, n.d);
        truth.v = reference::compress_mean_gradient(truth.v, c.length, n.l, n.d);
        if (k.size(2) == 0) return;  // nothing is attended
        expect_equal(by_autograd(in, d_out,
                                 [&](const Inputs& x) {
                                     const KeysValues tokens = compress_mean({.k = x.k, .v = x.v}, n, how);
                                     return compressed_attention(x.q, tokens.k, tokens.v, n, how);
                                 }),
                     truth);
    });
}

TEST(BranchGradients, of_selected_equal_the_oracle_on_every_cpu_route) {
    over_grid_and_routes([](const Case& c, const Inputs& in, const at::Tensor& d_out, const Execution& how) {
        const NsaConfig& n = c.config;
        const KeysValues tokens = compress_mean({.k = in.k, .v = in.v}, n, how);
        const at::Tensor blocks = choose_blocks(in.q, tokens, n, how);
        expect_equal(
            by_autograd(in, d_out,
                        [&](const Inputs& x) { return selected_attention(x.q, x.k, x.v, blocks, n, how); }),
            reference::selected_gradients(in.q, in.k, in.v, blocks, n, d_out));
    });
}

// The oracle's own gradients, which share no code with autograd, along one direction of all inputs.
TEST(OracleGradients, match_central_differences) {
    const Case& c = grid()[3];
    const NsaConfig& n = c.config;
    const Inputs in = test::random_inputs(c, at::kDouble, 1);
    const Inputs along = test::random_inputs(c, at::kDouble, 2);
    const at::Tensor d_out = random_d_out(c);
    const at::Tensor blocks = reference::select_blocks(
        reference::block_importance(in.q, reference::compress_mean(in.k, n.l, n.d), n), n);
    const auto check = [&](const auto& forward, const Gradients& d) {
        constexpr double kStep = 1e-6;
        const auto loss = [&](double step) {
            const Inputs at{
                .q = in.q + step * along.q, .k = in.k + step * along.k, .v = in.v + step * along.v};
            return forward(at).mul(d_out).sum().template item<double>();
        };
        const double numeric = (loss(kStep) - loss(-kStep)) / (2 * kStep);
        const double analytic = (d.q * along.q).sum().item<double>() + (d.k * along.k).sum().item<double>() +
                                (d.v * along.v).sum().item<double>();
        EXPECT_NEAR(analytic, numeric, 1e-6 * std::abs(numeric));
        EXPECT_GT(std::abs(numeric), 1e-3);
    };
    const auto mean = [&](const at::Tensor& rows) { return reference::compress_mean(rows, n.l, n.d); };
    check([&](const Inputs& x) { return reference::sliding_attention(x.q, x.k, x.v, n.w, n.scale()); },
          reference::sliding_gradients(in.q, in.k, in.v, n.w, n.scale(), d_out));
    check([&](const Inputs& x) { return reference::selected_attention(x.q, x.k, x.v, blocks, n); },
          reference::selected_gradients(in.q, in.k, in.v, blocks, n, d_out));
    Gradients compressed = reference::compressed_gradients(in.q, mean(in.k), mean(in.v), n, d_out);
    compressed.k = reference::compress_mean_gradient(compressed.k, c.length, n.l, n.d);
    compressed.v = reference::compress_mean_gradient(compressed.v, c.length, n.l, n.d);
    check([&](const Inputs& x) { return reference::compressed_attention(x.q, mean(x.k), mean(x.v), n); },
          compressed);
}

at::Tensor parameter(const NSAAttention& module, std::string_view name) {
    const auto& all = module.parameters();
    return std::find_if(all.begin(), all.end(), [&](const NamedTensor& p) { return p.name == name; })->tensor;
}

struct LayerCase {
    const char* what;
    Compressor compressor;
    GateKind gate;
    bool rope;
    std::int64_t length;
    std::optional<Branch> only;
};

class OracleLayerGradients : public testing::TestWithParam<LayerCase> {};

// The oracle against itself: its forward pass a step along each parameter, without the layer under test.
TEST_P(OracleLayerGradients, MatchCentralDifferencesInXAndEveryWeight) {
    const LayerCase& p = GetParam();
    NsaConfig n = grid()[3].config;
    n.compressor = p.compressor;
    n.phi_hidden = 5;
    n.gate = p.gate;
    n.rope = p.rope;
    const at::NoGradGuard no_grad;
    const NSAAttention weights{n, at::TensorOptions{}.dtype(at::kDouble), /*seed=*/5};
    const at::Tensor x = test::random({2, p.length, n.dim}, 31);
    const at::Tensor d_out = test::random(x.sizes(), 32);
    const auto loss = [&] {
        const reference::ModuleResult r = reference::module_forward(n, weights.parameters(), x);
        if (!p.only) return r.out.mul(d_out).sum().item<double>();
        const at::Tensor branch = *p.only == Branch::kCompressed ? r.cmp
                                  : *p.only == Branch::kSelected ? r.sel
                                                                 : r.win;
        return at::linear(branch.transpose(1, 2).flatten(2), parameter(weights, "wo"))
            .mul(d_out)
            .sum()
            .item<double>();
    };
    const reference::ModuleGradients d = reference::module_backward(
        n, weights.parameters(), x, reference::module_forward(n, weights.parameters(), x).blocks, d_out,
        p.only);
    std::uint64_t seed = 100;
    const auto check = [&](const std::string& name, at::Tensor leaf, const at::Tensor& gradient) {
        constexpr double kStep = 1e-6;
        ASSERT_EQ(gradient.sizes(), leaf.sizes()) << name;
        const at::Tensor kept = leaf.clone();
        const at::Tensor direction = test::random(leaf.sizes(), ++seed);
        leaf.copy_(kept + kStep * direction);
        const double ahead = loss();
        leaf.copy_(kept - kStep * direction);
        const double numeric = (ahead - loss()) / (2 * kStep);
        leaf.copy_(kept);
        const double analytic = gradient.mul(direction).sum().item<double>();
        EXPECT_NEAR(analytic, numeric, 1e-6 * std::max(1.0, std::abs(numeric))) << name;
    };
    check("x", x, d.x);
    ASSERT_EQ(d.weights.size(), weights.parameters().size());
    for (std::size_t i = 0; i < d.weights.size(); ++i) {
        EXPECT_EQ(d.weights[i].name, weights.parameters()[i].name);
        check(d.weights[i].name, weights.parameters()[i].tensor, d.weights[i].tensor);
    }
}

INSTANTIATE_TEST_SUITE_P(
    Layers, OracleLayerGradients,
    testing::Values(
        LayerCase{"mean_sigmoid", Compressor::kMean, GateKind::kSigmoid, false, 70, std::nullopt},
        LayerCase{"mean_softmax_rope", Compressor::kMean, GateKind::kSoftmax, true, 70, std::nullopt},
        LayerCase{"phi_sigmoid_rope", Compressor::kMlp, GateKind::kSigmoid, true, 70, std::nullopt},
        LayerCase{"phi_softmax", Compressor::kMlp, GateKind::kSoftmax, false, 70, std::nullopt},
        LayerCase{"phi_of_no_block", Compressor::kMlp, GateKind::kSigmoid, true, 2, std::nullopt},
        LayerCase{"compressed_alone", Compressor::kMlp, GateKind::kSigmoid, true, 70, Branch::kCompressed},
        LayerCase{"selected_alone", Compressor::kMean, GateKind::kSoftmax, true, 70, Branch::kSelected},
        LayerCase{"sliding_alone", Compressor::kMean, GateKind::kSigmoid, true, 70, Branch::kSliding}),
    [](const auto& layer) { return std::string{layer.param.what}; });

// Blocks that are given are attended as they are.
TEST(GatedAttention, is_the_gated_sum_of_its_branches_over_the_blocks_that_it_states) {
    const Case& c = grid()[3];
    const NsaConfig& n = c.config;
    const Inputs in = test::random_inputs(c, at::kDouble);
    const at::Tensor gates = test::random({c.batch, n.heads, c.length, 3}, 5).sigmoid();
    const KeysValues rows{.k = in.k, .v = in.v};
    const BranchInputs branches{
        .q = in.q, .cmp = compress_mean(rows, n, {}), .sel = rows, .win = rows, .gates = gates};
    const GatedAttention chosen = gated_attention(branches, n, {});
    const GatedAttention given = gated_attention(branches, n, {}, chosen.blocks);
    EXPECT_TRUE(at::equal(chosen.out, given.out));
    const at::Tensor other = chosen.blocks.roll(1, 2);
    EXPECT_FALSE(at::equal(gated_attention(branches, n, {}, other).sel, chosen.sel));
    const at::Tensor sum = gates.narrow(3, 0, 1) * chosen.cmp + gates.narrow(3, 1, 1) * chosen.sel +
                           gates.narrow(3, 2, 1) * chosen.win;
    EXPECT_LT(max_abs(chosen.out, sum), 1e-14);
}

}  // namespace
}  // namespace nsa::core
