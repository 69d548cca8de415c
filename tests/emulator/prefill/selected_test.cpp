// Attention over selected blocks, its gradients and the inverse lists against plain loops, on the emulator.
#include <gtest/gtest.h>

#include "emulator/prefill/selected_case.hpp"
#include "nsa_core/cuda/prefill/selected.hpp"

namespace nsa::prefill_test {
namespace {

using core::cuda::HalfType;

class SelectedTest : public testing::TestWithParam<SelectedCase> {};

template <class T>
Inputs random_inputs(const SelectedCase& c, Numbers& numbers) {
    const PrefillShape& shape = c.shape;
    const auto size = [](int x) { return static_cast<std::size_t>(x); };
    const std::size_t tokens = c.batch.tokens();
    Inputs in;
    in.q = random_array<T>(tokens, size(shape.heads), size(shape.dk), c.size, numbers);
    in.k = random_array<T>(tokens, size(shape.groups), size(shape.dk), c.size, numbers);
    in.v = random_array<T>(tokens, size(shape.groups), size(shape.dv), 1, numbers);
    in.d_out = random_array<T>(tokens, size(shape.heads), size(shape.dv), 1, numbers);
    if (c.gates)
        for (std::size_t i = 0; i < tokens * size(shape.heads); ++i)
            in.gates.push_back(rounded<T>(0.5 + 0.5 * numbers()));
    in.scale = 1 / std::sqrt(shape.dk);
    return in;
}

// Our error is at most twice that of a plain implementation in 16 bits, and its last bit.
void expect_as_good(const char* what, const Array& got, const Array& truth, const Array& plain,
                    double epsilon) {
    const double allowed = 2 * largest_error(plain.values, truth.values) + epsilon * largest(truth.values);
    EXPECT_LE(largest_error(got.values, truth.values), allowed) << what;
}

template <class T>
void check(const SelectedCase& c) {
    Numbers numbers{c.name.size()};
    const Inputs in = random_inputs<T>(c, numbers);
    const Lists lists = random_lists(c, numbers);
    Results truth = attend_selected(c.shape, c.batch, in, lists, [](double x) { return x; });
    Results plain = attend_selected(c.shape, c.batch, in, lists, rounded<T>);
    if (c.add_to_d_q) {
        for (double& x : truth.d_q.values)
            x += 1;
        for (double& x : plain.d_q.values)
            x = rounded<T>(x + 1);
    }
    const double epsilon = c.shape.dtype == HalfType::kBf16 ? 0x1p-9 : 0x1p-12;

    const SelectedResults got = run_selected(c, in, lists, 2);
    expect_as_good("out", got.results.out, truth.out, plain.out, epsilon);
    expect_as_good("d_q", got.results.d_q, truth.d_q, plain.d_q, epsilon);
    expect_as_good("d_k", got.results.d_k, truth.d_k, plain.d_k, epsilon);
    expect_as_good("d_v", got.results.d_v, truth.d_v, plain.d_v, epsilon);
    EXPECT_LE(largest_error({got.lse.begin(), got.lse.end()}, truth.lse), 1e-5 * (1 + largest(truth.lse)));
    EXPECT_EQ(got.inverse, inverse_lists(c, lists));
}

void check(const SelectedCase& c) {
    c.shape.dtype == HalfType::kBf16 ? check<__nv_bfloat16>(c) : check<__half>(c);
}

TEST_P(SelectedTest, agrees_with_plain_loops) {
    check(GetParam());
}

std::vector<SelectedCase> cases() {
    const Batch one{{77}, false};
    const Batch two{{40, 40}, false};
    const Batch ragged{{1, 50, 3, 0, 19, 64}, true};
    const Batch longer{{290}, false};
    const auto fp16 = HalfType::kFp16;
    return {
        {"small", selected_shape(one, 4, 2, 32, 32, 16, 3), one, false, 1, true},
        {"paper_blocks", selected_shape(longer, 2, 1, 32, 32, 64, 3), longer},
        {"sixteen_heads", selected_shape(one, 16, 1, 128, 128, 16, 3, fp16), one, false, 1, true},
        {"wide_keys", selected_shape(one, 8, 1, 192, 128, 16, 3), one, true, 1, true},
        {"middle_widths", selected_shape(two, 4, 1, 64, 64, 16, 2), two, true, 1, true},
        {"ninety_six", selected_shape(two, 2, 1, 96, 96, 16, 2, fp16), two},
        {"one_head", selected_shape(two, 2, 2, 32, 32, 8, 2, fp16), two, true, 1, true},
        {"ragged", selected_shape(ragged, 4, 2, 32, 32, 16, 2), ragged, false, 1, true},
        {"ragged_head_major", selected_shape(ragged, 2, 1, 64, 64, 10, 3, fp16), ragged, true},
        {"blocks_longer_than_stages", selected_shape(longer, 2, 1, 32, 32, 96, 2), longer, false, 1, true},
        {"more_than_there_are", selected_shape(one, 1, 1, 32, 32, 16, 32), one, false, 1, true},
        {"short_ring", selected_shape(longer, 2, 1, 32, 32, 16, 5), longer, false, 1, true, 0, false, 2},
        {"ring_of_three_stages", selected_shape(ragged, 4, 2, 64, 64, 8, 4, fp16), ragged, false, 1, true, 0,
         false, 3},
        {"paper_widths", selected_shape(longer, 4, 1, 128, 128, 64, 3), longer, false, 1, true},
        {"keys_of_half_a_stage", selected_shape(one, 4, 1, 128, 128, 64, 2), one, false, 1, true, 0, false, 0,
         core::cuda::KernelPath::kMma, 86},
        {"ninety_six_by_halves", selected_shape(two, 2, 1, 96, 96, 48, 2, fp16), two, false, 1, true, 0,
         false, 0, core::cuda::KernelPath::kMma, 86},
        {"huge_scores", selected_shape(one, 4, 1, 64, 64, 16, 3), one, false, 30, true},
        {"many_items", selected_shape(longer, 2, 2, 32, 32, 16, 4), longer, false, 1, true, 32},
        {"items_with_a_ragged_batch", selected_shape(ragged, 2, 1, 32, 32, 16, 2, fp16), ragged, true, 1,
         true, 16},
    };
}

INSTANTIATE_TEST_SUITE_P(Cases, SelectedTest, testing::ValuesIn(cases()),
                         [](const auto& tested) { return tested.param.name; });

// dK and dV by products of a warpgroup. A step is 64 query rows, 32 at dk = 192, and every second one is the
// other warpgroup's: items of one step, of two, and of a part of one are among these.
TEST(Selected, gradients_of_keys_by_warpgroups_agree_with_plain_loops) {
    const Batch one{{77}, false};
    const Batch ragged{{1, 50, 3, 0, 19, 64}, true};
    const Batch longer{{290}, false};
    const auto fp16 = HalfType::kFp16;
    for (SelectedCase c : {
             SelectedCase{"paper_blocks", selected_shape(longer, 4, 2, 64, 64, 64, 3), longer, false, 1,
                          true},
             {"sixteen_heads", selected_shape(longer, 16, 1, 128, 128, 16, 3, fp16), longer, false, 1, true},
             {"wide_keys", selected_shape(one, 8, 1, 192, 128, 16, 3), one, true, 1, true},
             {"wide_halves", selected_shape(one, 2, 1, 192, 128, 16, 3, fp16), one},
             {"one_head", selected_shape(longer, 2, 2, 64, 64, 8, 2, fp16), longer, false, 1, true},
             {"ragged", selected_shape(ragged, 4, 1, 64, 64, 10, 3), ragged, true, 1, true},
             {"blocks_longer_than_tiles", selected_shape(longer, 2, 1, 64, 64, 96, 2), longer, false, 1,
              true},
             {"huge_scores", selected_shape(one, 4, 1, 128, 128, 16, 3), one, false, 30, true},
             {"many_items", selected_shape(longer, 8, 2, 64, 64, 64, 4), longer, false, 1, true, 32},
             {"items_of_a_ragged_batch", selected_shape(ragged, 2, 1, 128, 128, 16, 2, fp16), ragged, true, 1,
              true, 16},
         }) {
        SCOPED_TRACE(c.name);
        c.path = core::cuda::KernelPath::kWarpgroup;
        check(c);
    }
}

// Around the tiles: 8 tokens, 16 of a block, 32 keys of a step.
TEST(Selected, every_length_agrees_with_plain_loops) {
    for (const int length : {1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48}) {
        const Batch batch{{length}, false};
        check({"S_" + std::to_string(length), selected_shape(batch, 2, 1, 32, 32, 16, 2), batch});
    }
}

TEST(Selected, gradients_of_queries_add_to_what_is_there) {
    const Batch batch{{41}, false};
    SelectedCase c{"adds", selected_shape(batch, 4, 1, 32, 32, 16, 2), batch};
    c.add_to_d_q = true;
    check(c);
}

void expect_one_result_in_any_order(core::cuda::KernelPath path) {
    const Batch ragged{{70, 45}, true};
    SelectedCase c{"orders", selected_shape(ragged, 8, 2, 64, 64, 16, 3), ragged, false, 1, true, 32, false,
                   2};
    c.path = path;
    Numbers numbers{1};
    const Inputs in = random_inputs<__nv_bfloat16>(c, numbers);
    const Lists lists = random_lists(c, numbers);
    const SelectedResults first = run_selected(c, in, lists, 0);
    for (const std::uint64_t seed : {1, 2, 3}) {
        const SelectedResults again = run_selected(c, in, lists, seed);
        EXPECT_EQ(again.results.out.values, first.results.out.values) << "schedule " << seed;
        EXPECT_EQ(again.results.d_q.values, first.results.d_q.values) << "schedule " << seed;
        EXPECT_EQ(again.results.d_k.values, first.results.d_k.values) << "schedule " << seed;
        EXPECT_EQ(again.results.d_v.values, first.results.d_v.values) << "schedule " << seed;
        EXPECT_EQ(again.lse, first.lse) << "schedule " << seed;
        EXPECT_EQ(again.inverse, first.inverse) << "schedule " << seed;
    }
}
TEST(Selected, no_order_of_threads_and_blocks_changes_a_bit) {
    expect_one_result_in_any_order(core::cuda::KernelPath::kMma);
}
TEST(Selected, no_order_of_threads_and_blocks_changes_a_bit_by_warpgroups) {
    expect_one_result_in_any_order(core::cuda::KernelPath::kWarpgroup);
}

TEST(Selected, rows_between_pieces_of_16_bytes_and_plans_that_are_none_are_refused) {
    using namespace core::cuda;
    const Batch batch{{8}, false};
    SelectedForward forward;
    SelectedBackward backward;
    ImportanceTopN importance;
    forward.shape = backward.shape = selected_shape(batch, 2, 1, 32, 32, 16, 2);
    forward.scale = backward.scale = importance.scale = 1;
    const RingPlan ring{.stages = 2, .shared_bytes = 0};
    forward.q.token = backward.q.token = 33;
    EXPECT_EQ(launch_selected_forward(forward, ring, nullptr), cudaErrorMisalignedAddress);
    EXPECT_EQ(launch_selected_dq(backward, ring, nullptr), cudaErrorMisalignedAddress);
    backward.inverse.item_tokens = 512;
    EXPECT_EQ(launch_selected_dkdv(backward, nullptr), cudaErrorMisalignedAddress);
    for (const int none : {0, kMaxItemTokens + 1}) {
        backward.inverse.item_tokens = none;
        EXPECT_EQ(launch_selected_dkdv(backward, nullptr), cudaErrorInvalidValue);
    }
    backward.q.token = 32;
    backward.inverse.item_tokens = 512;
    EXPECT_EQ(launch_selected_dkdv(backward, nullptr, KernelPath::kWarpgroup), cudaErrorInvalidValue);
    EXPECT_EQ(launch_selected_forward(forward, RingPlan{}, nullptr), cudaErrorInvalidValue);
    forward.scale = 0;
    EXPECT_EQ(launch_selected_forward(forward, ring, nullptr), cudaErrorInvalidValue);
    forward.shape.dv = 64;
    EXPECT_EQ(launch_selected_forward(forward, ring, nullptr), cudaErrorInvalidValue);
    EXPECT_EQ(launch_importance_top_n(importance, nullptr), cudaErrorInvalidValue);
}

TEST(Selected, a_nan_stays_in_its_row_and_is_not_hidden) {
    const Batch batch{{40}, false};
    const SelectedCase c{"nan", selected_shape(batch, 2, 1, 32, 32, 16, 2), batch};
    Numbers numbers{1};
    Inputs in = random_inputs<__nv_bfloat16>(c, numbers);
    std::fill_n(in.q.at(20, 0), in.q.heads * in.q.width, std::nan(""));
    const SelectedResults got = run_selected(c, in, random_lists(c, numbers), 2);
    for (std::size_t row = 0; row < in.q.rows; ++row) {
        EXPECT_EQ(std::isnan(got.results.out.at(row, 1)[5]), row == 20) << "token " << row;
        EXPECT_EQ(std::isnan(got.lse[row * in.q.heads]), row == 20) << "token " << row;
    }
}

// Another sequence's rows, were they read, would bring their NaN.
TEST(Selected, sees_nothing_of_its_neighbours) {
    const Batch ragged{{21, 35, 13}, true};
    const SelectedCase c{"neighbours", selected_shape(ragged, 2, 1, 32, 32, 16, 2), ragged};
    Numbers numbers{1};
    Inputs in = random_inputs<__nv_bfloat16>(c, numbers);
    const Lists lists = random_lists(c, numbers);
    const SelectedResults clean = run_selected(c, in, lists, 2);
    for (Array* array : {&in.q, &in.k, &in.v, &in.d_out})
        for (const std::size_t row : {std::size_t{0}, std::size_t{20}, std::size_t{56}, std::size_t{68}})
            std::fill_n(array->at(row, 0), array->heads * array->width, std::nan(""));
    const SelectedResults poisoned = run_selected(c, in, lists, 2);
    const auto middle = [](const Array& x) {
        return std::vector<double>(x.at(21, 0), x.at(21, 0) + 35 * x.heads * x.width);
    };
    EXPECT_EQ(middle(poisoned.results.out), middle(clean.results.out));
    EXPECT_EQ(middle(poisoned.results.d_q), middle(clean.results.d_q));
    EXPECT_EQ(middle(poisoned.results.d_k), middle(clean.results.d_k));
    EXPECT_EQ(middle(poisoned.results.d_v), middle(clean.results.d_v));
}

}  // namespace
}  // namespace nsa::prefill_test
