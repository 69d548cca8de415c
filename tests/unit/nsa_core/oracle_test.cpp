// The oracle itself, against numbers worked out by hand: it is the judge of everything else.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cases.hpp"
#include "nsa_core/reference.hpp"

namespace nsa::core {
namespace {

using test::max_abs;

at::Tensor column(std::vector<double> values) {
    return at::tensor(values, at::kDouble).view({1, 1, static_cast<std::int64_t>(values.size()), 1});
}

NsaConfig tiny() {
    NsaConfig c;
    c.heads = 1;
    c.groups = 1;
    c.dk = 1;
    c.dv = 1;
    c.l = 4;
    c.d = 2;
    c.l_sel = 4;
    c.n = 2;
    c.n_initial = 1;
    c.n_local = 1;
    c.w = 2;
    return c;
}

TEST(Oracle, with_equal_scores_a_window_is_the_mean_of_its_w_values) {
    const at::Tensor zeros = at::zeros({1, 1, 4, 1}, at::kDouble);
    const at::Tensor v = column({1, 3, 5, 11});
    EXPECT_LT(max_abs(reference::sliding_attention(zeros, zeros, v, 2, 1.0), column({1, 2, 4, 8})), 1e-15);
    EXPECT_LT(max_abs(reference::full_attention(zeros, zeros, v, 1.0), column({1, 2, 3, 5})), 1e-15);
}

TEST(Oracle, softmax_weights_follow_the_scores_and_the_scale) {
    const at::Tensor q = column({1, 1});
    const at::Tensor k = column({0, std::log(3.0) * 2});  // scale 1/2: weights 1 and 3
    EXPECT_LT(max_abs(reference::full_attention(q, k, column({4, 8}), 0.5), column({4, 7})), 1e-15);
}

TEST(Oracle, first_key_of_window_is_the_oldest_visible_value) {
    const at::Tensor v = column({1, 3, 5, 11});
    EXPECT_LT(max_abs(reference::first_key_of_window(v, 1, 3), column({1, 1, 1, 3})), 1e-15);
}

TEST(Oracle, compression_takes_means_of_full_blocks_only) {
    const at::Tensor rows = column({0, 1, 2, 3, 4, 5, 6});  // l = 4, d = 2: blocks at 0 and 2; 4 is not full
    EXPECT_LT(max_abs(reference::compress_mean(rows, 4, 2), column({1.5, 3.5})), 1e-15);
    EXPECT_EQ(reference::compress_mean(rows, 8, 2).size(2), 0);
}

TEST(Oracle, compressed_output_is_zero_until_a_block_is_complete) {
    const at::Tensor q = at::zeros({1, 1, 7, 1}, at::kDouble);
    const at::Tensor tokens = column({2, 6});
    const at::Tensor out = reference::compressed_attention(q, at::zeros_like(tokens), tokens, tiny());
    EXPECT_LT(max_abs(out, column({0, 0, 0, 2, 2, 4, 4})), 1e-15);
}

TEST(Oracle, importance_of_equal_probabilities_counts_overlaps) {
    NsaConfig c = tiny();
    c.l = 32, c.d = 16, c.l_sel = 64;  // the paper's: weights 1,2,2,2,1
    const std::int64_t length = 192;   // 11 compressed tokens, 3 blocks
    const at::Tensor q = at::zeros({1, 1, length, 1}, at::kDouble);
    const at::Tensor k = at::zeros({1, 1, 11, 1}, at::kDouble);
    const at::Tensor last = reference::block_importance(q, k, c).select(2, length - 1).flatten();
    // Block 0: tokens 0..3 with 2,2,2,1. Block 1: 3..7 with 1,2,2,2,1. Block 2: 7..10 with 1,2,2,2.
    const at::Tensor expected = at::tensor({7.0, 8.0, 7.0}, at::kDouble).div(11.0);
    EXPECT_LT(max_abs(last, expected), 1e-15);
}

TEST(Oracle, selection_takes_forced_blocks_then_the_largest_then_the_lowest_index) {
    NsaConfig c = tiny();
    c.n = 3;
    const at::Tensor importance =
        at::tensor({0.0, 5.0, 7.0, 7.0, 1.0, 99.0}, at::kDouble).expand({1, 1, 20, 6});
    const at::Tensor blocks = reference::select_blocks(importance, c);
    // t = 19 stands in block 4. Block 0 and 4 are forced, 2 and 3 tie, 5 begins later.
    EXPECT_TRUE(at::equal(blocks.select(2, 19).flatten(), at::tensor({0, 2, 4}, at::kLong)));
    EXPECT_TRUE(at::equal(blocks.select(2, 5).flatten(), at::tensor({0, 1, -1}, at::kLong)));
    EXPECT_TRUE(at::equal(blocks.select(2, 0).flatten(), at::tensor({0, -1, -1}, at::kLong)));
}

TEST(Oracle, selected_attention_reads_the_picked_blocks_up_to_the_query) {
    const at::Tensor q = at::zeros({1, 1, 10, 1}, at::kDouble);
    const at::Tensor v = column({1, 2, 3, 4, 50, 60, 70, 80, 9, 10});
    const at::Tensor blocks = at::tensor({0, 2}, at::kLong).expand({1, 1, 10, 2});
    const at::Tensor out = reference::selected_attention(q, at::zeros_like(v), v, blocks, tiny());
    EXPECT_DOUBLE_EQ(out.flatten()[8].item<double>(), (1 + 2 + 3 + 4 + 9) / 5.0);
    EXPECT_DOUBLE_EQ(out.flatten()[9].item<double>(), (1 + 2 + 3 + 4 + 9 + 10) / 6.0);
}

TEST(Oracle, a_head_reads_the_keys_of_group_h_divided_by_heads_per_group) {
    const at::Tensor q = at::zeros({1, 4, 1, 1}, at::kDouble);
    const at::Tensor v = at::tensor({1.0, 2.0}, at::kDouble).view({1, 2, 1, 1});
    const at::Tensor out = reference::full_attention(q, at::zeros_like(v), v, 1.0);
    EXPECT_TRUE(at::equal(out.flatten(), at::tensor({1.0, 1.0, 2.0, 2.0}, at::kDouble)));
}

}  // namespace
}  // namespace nsa::core
