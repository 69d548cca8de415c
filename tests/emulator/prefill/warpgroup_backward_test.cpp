// The backward of the dense branches by products of a warpgroup. dQ takes 128 query rows and steps of 48
// keys, a thread block one tile after the other; dK and dV take 128 keys, 64 for each warpgroup, and steps of
// 64 query rows, 32 at dk = 192.
#include <gtest/gtest.h>

#include "emulator/prefill/warpgroup_case.hpp"
#include "nsa_core/cuda/prefill/prefill.hpp"

namespace nsa::prefill_test {
namespace {

using namespace core::cuda;

DenseCase by_warpgroups(const DenseCase& c) {
    return of_warpgroups(c, 3);
}
void expect_both(const DenseCase& c) {
    in_both_branches(c, [](const DenseCase& branch) { expect_dense(by_warpgroups(branch)); });
}

TEST(WarpgroupBackward, every_width_and_type_equals_the_oracle) {
    for (const HalfType dtype : {HalfType::kBf16, HalfType::kFp16})
        for (const int dk : {64, 128, 192}) {
            SCOPED_TRACE("dk " + std::to_string(dk));
            expect_both({.dtype = dtype,
                         .dk = dk,
                         .dv = dk == 192 ? 128 : dk,
                         .groups = 1,
                         .per_group = 4,
                         .lengths = {151},
                         .l = 2,
                         .d = 1,
                         .w = 140,
                         .gated = true});
        }
}

TEST(WarpgroupBackward, every_number_of_heads_in_a_group_equals_the_oracle) {
    for (const int per_group : {1, 2, 4, 8, 16}) {
        SCOPED_TRACE("heads in a group " + std::to_string(per_group));
        expect_both(
            {.groups = 1, .per_group = per_group, .lengths = {140}, .l = 4, .d = 1, .w = 100, .gated = true});
    }
}

// Around the tiles: 48, 64 and 128 keys, 16 and 32 tokens.
TEST(WarpgroupBackward, every_length_equals_the_oracle) {
    for (const int length : {1, 16, 17, 47, 48, 49, 64, 65, 128, 129, 193}) {
        SCOPED_TRACE("S " + std::to_string(length));
        expect_both({.groups = 1, .per_group = 4, .lengths = {length}, .l = 4, .d = 1, .w = 64});
    }
}

TEST(WarpgroupBackward, every_window_equals_the_oracle) {
    for (const int w : {1, 2, 47, 48, 64, 99, 128, 1 << 30}) {
        SCOPED_TRACE("w " + std::to_string(w));
        expect_dense(by_warpgroups({.groups = 1, .per_group = 2, .lengths = {200}, .w = w}));
    }
}

TEST(WarpgroupBackward, every_compression_equals_the_oracle) {
    struct Blocks {
        int l;
        int d;
    };
    for (const Blocks blocks : {Blocks{1, 1}, {2, 1}, {5, 3}, {32, 16}, {101, 1}}) {
        SCOPED_TRACE("l " + std::to_string(blocks.l) + ", d " + std::to_string(blocks.d));
        expect_dense(by_warpgroups({.groups = 1,
                                    .per_group = 2,
                                    .lengths = {200},
                                    .branch = DenseBranch::kCompressed,
                                    .l = blocks.l,
                                    .d = blocks.d}));
    }
}

TEST(WarpgroupBackward, sequences_of_a_batch_do_not_see_each_other) {
    for (const bool head_major : {false, true}) {
        SCOPED_TRACE(head_major ? "heads before tokens" : "tokens before heads");
        expect_both({.lengths = {70, 70}, .l = 8, .d = 4, .head_major = head_major, .gated = true});
    }
}

// Also: rows around and between the sequences hold NaN, are not read, and stay as they are.
TEST(WarpgroupBackward, ragged_sequences_equal_the_oracle) {
    for (const int per_group : {1, 16}) {
        SCOPED_TRACE("heads in a group " + std::to_string(per_group));
        expect_both({.groups = 1,
                     .per_group = per_group,
                     .lengths = {33, 0, 1, 140, 31, 64},
                     .l = 4,
                     .d = 2,
                     .packed = true,
                     .gated = true,
                     .splits = 2});
    }
}

TEST(WarpgroupBackward, unusual_values_equal_the_oracle) {
    for (const HalfType dtype : {HalfType::kBf16, HalfType::kFp16})
        for (const Data data : {Data::kTiny, Data::kHuge, Data::kEqualKeys}) {
            SCOPED_TRACE("data " + std::to_string(static_cast<int>(data)));
            expect_both(
                {.dtype = dtype, .groups = 1, .lengths = {150}, .l = 2, .d = 1, .w = 100, .data = data});
        }
}

TEST(WarpgroupBackward, queries_that_see_nothing_give_zeros_in_any_order_of_threads) {
    for (std::uint64_t seed = 0; seed < 4; ++seed)
        expect_dense(by_warpgroups({.groups = 1,
                                    .per_group = 16,
                                    .lengths = {40},
                                    .branch = DenseBranch::kCompressed,
                                    .seed = seed}));
}

TEST(WarpgroupBackward, shares_of_the_tokens_add_up) {
    expect_both({.groups = 2, .lengths = {140}, .l = 4, .d = 1, .gated = true, .splits = 3});
}

TEST(WarpgroupBackward, gradients_of_queries_add_to_what_is_there) {
    expect_both({.groups = 1, .lengths = {70}, .l = 4, .d = 2, .add_to_d_q = true});
}

TEST(WarpgroupBackward, no_order_of_threads_and_no_number_of_thread_blocks_changes_a_bit) {
    const DenseCase c = by_warpgroups({.groups = 1,
                                       .per_group = 8,
                                       .lengths = {150, 41},
                                       .l = 2,
                                       .d = 1,
                                       .w = 100,
                                       .packed = true,
                                       .gated = true,
                                       .splits = 2});
    expect_same_bits(c, expect_dense);
}

TEST(WarpgroupBackward, widths_without_a_kernel_are_refused) {
    alignas(16) static char memory[64];
    DenseBackward p;
    p.scale = 1;
    p.q = p.k = p.v = p.d_out = ConstRows{memory, 8, 8, 8};
    p.d_q = p.d_k = p.d_v = {memory, 8, 8, 8};
    for (const int width : {32, 96}) {
        p.shape.dk = p.shape.dv = width;
        EXPECT_EQ(launch_dense_backward(p, {}, nullptr, DensePart::kAll, KernelPath::kWarpgroup),
                  cudaErrorInvalidValue);
    }
}

}  // namespace
}  // namespace nsa::prefill_test
