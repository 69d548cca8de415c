// Poisoned positions and repeated runs.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "cases.hpp"
#include "nsa_core/attention.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/module.hpp"

namespace nsa::core {
namespace {

using test::Case;
using test::grid;
using test::Inputs;

constexpr Route kCpuRoutes[] = {Route::kReference, Route::kSdpa};

at::Tensor poisoned_from(const at::Tensor& rows, std::int64_t first, double poison) {
    at::Tensor copy = rows.clone();
    copy.narrow(2, first, copy.size(2) - first).fill_(poison);
    return copy;
}

// All three branches of raw keys and values, joined: [3 B,H,S,dv].
at::Tensor all_branches(const Case& c, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        Route route) {
    const Execution how{.route = route};
    const at::Tensor k_cmp = compress_mean(k, c.config);
    const at::Tensor blocks =
        select_blocks(block_importance(q, k_cmp, 0, block_count(c.length, c.config), c.config), 0, c.config);
    return at::cat({sliding_attention(q, k, v, c.config.w, c.config.scale(), how),
                    compressed_attention(q, k_cmp, compress_mean(v, c.config), c.config, how),
                    selected_attention(q, k, v, blocks, c.config, how)});
}

TEST(Poison, future_keys_and_values_reach_no_earlier_query) {
    for (const double poison :
         {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
          -std::numeric_limits<double>::infinity()}) {
        for (const Case& c : grid()) {
            for (const Route route : kCpuRoutes) {
                SCOPED_TRACE(c.name + ", " + std::string{name(route)});
                const Inputs in = test::random_inputs(c, at::kFloat);
                const std::int64_t first = c.length / 2;
                const at::Tensor clean = all_branches(c, in.q, in.k, in.v, route).narrow(2, 0, first);
                const at::Tensor poisoned = all_branches(c, in.q, poisoned_from(in.k, first, poison),
                                                         poisoned_from(in.v, first, poison), route)
                                                .narrow(2, 0, first);
                EXPECT_TRUE(at::equal(clean, poisoned));
            }
        }
    }
}

TEST(Poison, a_visible_nan_is_not_hidden) {
    const Case& c = grid()[3];
    for (const Route route : kCpuRoutes) {
        const Inputs in = test::random_inputs(c, at::kFloat);
        at::Tensor v = in.v.clone();
        v.select(2, 40).fill_(std::numeric_limits<double>::quiet_NaN());
        const at::Tensor out =
            sliding_attention(in.q, in.k, v, c.config.w, c.config.scale(), {.route = route});
        const at::Tensor is_nan = out.isnan().all(-1).all(1).squeeze(0);  // [S]
        for (std::int64_t t = 0; t < c.length; ++t) {
            EXPECT_EQ(is_nan[t].item<bool>(), t >= 40 && t < 40 + c.config.w) << name(route) << ", t = " << t;
        }
    }
}

TEST(Determinism, two_runs_are_equal_bit_for_bit) {
    for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kBFloat16}) {
        Case c = grid()[14];
        const auto run = [&] {
            const NSAAttention module{c.config, at::TensorOptions{}.dtype(type), /*seed=*/17};
            const at::Tensor out = module.prefill(test::random({2, c.length, c.config.dim}, 61, type)).out;
            out.sum().backward();
            std::vector<at::Tensor> results{out};
            for (const NamedTensor& parameter : module.parameters())
                results.push_back(parameter.tensor.grad());
            return results;
        };
        const std::vector<at::Tensor> first = run();
        const std::vector<at::Tensor> second = run();
        for (std::size_t i = 0; i < first.size(); ++i)
            EXPECT_TRUE(at::equal(first[i], second[i])) << "result " << i;
    }
}

}  // namespace
}  // namespace nsa::core
