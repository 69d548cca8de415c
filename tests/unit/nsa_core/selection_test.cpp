// Importance and top-n against the oracle; ties, forced blocks and positions of a decode step.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "cases.hpp"
#include "nsa_core/attention.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/reference.hpp"

namespace nsa::core {
namespace {

using test::Case;
using test::grid;
using test::Inputs;
using test::max_abs;
using test::random_inputs;

at::Tensor importance_of(const Case& c, const at::Tensor& q, const at::Tensor& k_cmp) {
    return block_importance(q, k_cmp, 0, block_count(c.length, c.config), c.config);
}

TEST(Selection, importance_equals_the_oracle_in_fp64_and_fp32) {
    for (const Case& c : grid()) {
        for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
            SCOPED_TRACE(c.name);
            const Inputs in = random_inputs(c, type);
            const at::Tensor k_cmp = compress_mean(in.k, c.config);
            const at::Tensor importance = importance_of(c, in.q, k_cmp);
            const at::Tensor truth = reference::block_importance(in.q, k_cmp, c.config);
            ASSERT_EQ(importance.sizes(), truth.sizes());
            EXPECT_LT(max_abs(importance, truth), test::tolerance(type));
        }
    }
}

TEST(Selection, blocks_equal_the_oracle_for_the_same_importance) {
    for (const Case& c : grid()) {
        SCOPED_TRACE(c.name);
        const Inputs in = random_inputs(c, at::kFloat);
        const at::Tensor importance = importance_of(c, in.q, compress_mean(in.k, c.config));
        EXPECT_TRUE(at::equal(select_blocks(importance, 0, c.config),
                              reference::select_blocks(importance, c.config)));
    }
}

// Few distinct values make every row full of ties.
TEST(Selection, ties_go_to_the_lower_index) {
    Case c = grid()[3];
    c.config.l_sel = 4;
    c.config.n = 7;
    const at::Tensor importance = test::random({2, 2, 83, 21}, 9).mul(1.5).round().abs();
    EXPECT_TRUE(
        at::equal(select_blocks(importance, 0, c.config), reference::select_blocks(importance, c.config)));

    const at::Tensor equal = at::zeros({1, 1, 83, 21}, at::kFloat);
    const at::Tensor last = select_blocks(equal, 0, c.config).select(2, 82).flatten();
    EXPECT_TRUE(at::equal(last, at::tensor({0, 1, 2, 3, 4, 5, 20}, at::kLong)));
}

// Equal keys give equal probabilities; interior blocks then tie exactly, not just nearly.
TEST(Selection, equal_keys_give_exactly_equal_importance) {
    for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16}) {
        NsaConfig c = grid()[3].config;
        const at::Tensor q = test::random({1, 4, 1, 8}, 3, type);
        const at::Tensor k = at::ones({1, 2, compressed_count(400, c), 8}, type);
        const at::Tensor importance = block_importance(q, k, 399, block_count(400, c), c);
        const at::Tensor interior = importance.narrow(3, 1, importance.size(3) - 2);
        EXPECT_TRUE(interior.eq(interior.narrow(3, 0, 1)).all().item<bool>()) << c10::toString(type);
    }
}

TEST(Selection, no_block_that_begins_after_the_query_is_picked_and_forced_ones_always_are) {
    for (const Case& c : grid()) {
        SCOPED_TRACE(c.name);
        const Inputs in = random_inputs(c, at::kFloat);
        const at::Tensor blocks =
            select_blocks(importance_of(c, in.q, compress_mean(in.k, c.config)), 0, c.config);
        const at::Tensor own = at::arange(c.length, at::kLong).floor_divide(c.config.l_sel).view({-1, 1});
        EXPECT_TRUE(blocks.le(own).all().item<bool>());
        EXPECT_TRUE(blocks.eq(own).any(-1).all().item<bool>()) << "the query's own block";
        EXPECT_TRUE(blocks.eq(0).any(-1).all().item<bool>()) << "the initial block";
        const at::Tensor expected = own.add(1).clamp_max(c.config.n).squeeze(-1);
        EXPECT_TRUE(blocks.ge(0).sum(-1).eq(expected).all().item<bool>()) << "count of picks";
    }
}

TEST(Selection, one_query_at_position_t_selects_what_prefill_selects_there) {
    for (const Case& c : grid()) {
        SCOPED_TRACE(c.name);
        const Inputs in = random_inputs(c, at::kDouble);
        const at::Tensor all =
            select_blocks(importance_of(c, in.q, compress_mean(in.k, c.config)), 0, c.config);
        for (std::int64_t t = 0; t < c.length; t += 7) {
            const at::Tensor k_cmp = compress_mean(in.k.narrow(2, 0, t + 1), c.config);
            const std::int64_t blocks = block_count(t + 1, c.config);
            const at::Tensor step = select_blocks(
                block_importance(in.q.narrow(2, t, 1), k_cmp, t, blocks, c.config), t, c.config);
            EXPECT_TRUE(at::equal(step.squeeze(2), all.select(2, t).narrow(2, 0, step.size(3))))
                << "t = " << t;
        }
    }
}

TEST(Selection, carries_no_gradient) {
    const Case& c = grid()[3];
    const Inputs in = random_inputs(c, at::kDouble);
    const at::Tensor k_cmp = compress_mean(in.k, c.config).set_requires_grad(true);
    EXPECT_FALSE(importance_of(c, in.q.set_requires_grad(true), k_cmp).requires_grad());
}

}  // namespace
}  // namespace nsa::core
