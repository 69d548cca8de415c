// Gradients of prefill against central differences in fp64, for every weight and for the input.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cases.hpp"
#include "nsa_core/module.hpp"

namespace nsa::core {
namespace {

using test::Case;
using test::grid;

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

}  // namespace
}  // namespace nsa::core
