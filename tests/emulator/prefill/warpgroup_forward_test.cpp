// The forward of the dense branches by products of a warpgroup. Steps are 96, 112 or 128 keys, query tiles
// 128 rows; with few multiprocessors a thread block has several of these, one behind the other.
#include <gtest/gtest.h>

#include "emulator/prefill/warpgroup_case.hpp"
#include "nsa_core/cuda/prefill/prefill.hpp"

namespace nsa::prefill_test {
namespace {

using namespace core::cuda;

DenseCase by_warpgroups(const DenseCase& c) {
    return of_warpgroups(c, 2);
}
void expect_forward(const DenseCase& c) {
    expect_dense_forward(by_warpgroups(c));
}
void expect_both(const DenseCase& c) {
    in_both_branches(c, expect_forward);
}

TEST(WarpgroupForward, every_width_and_type_equals_the_oracle) {
    for (const HalfType dtype : {HalfType::kBf16, HalfType::kFp16})
        for (const int dk : {64, 128, 192}) {
            SCOPED_TRACE("dk " + std::to_string(dk));
            expect_both({.dtype = dtype,
                         .dk = dk,
                         .dv = dk == 192 ? 128 : dk,
                         .groups = 1,
                         .per_group = 4,
                         .lengths = {283},
                         .l = 2,
                         .d = 1,
                         .w = 270});
        }
}

TEST(WarpgroupForward, every_number_of_heads_in_a_group_equals_the_oracle) {
    for (const int per_group : {1, 2, 4, 8, 16}) {
        SCOPED_TRACE("heads in a group " + std::to_string(per_group));
        expect_both({.per_group = per_group, .lengths = {150}, .l = 4, .d = 2, .w = 100});
    }
}

TEST(WarpgroupForward, every_length_equals_the_oracle) {
    for (const int length : {1, 7, 8, 9, 31, 32, 33, 111, 112, 113, 128, 129, 225}) {
        SCOPED_TRACE("S " + std::to_string(length));
        expect_both({.groups = 1, .per_group = 4, .lengths = {length}, .l = 4, .d = 1, .w = 112});
    }
}

TEST(WarpgroupForward, every_window_equals_the_oracle) {
    for (const int w : {1, 2, 80, 81, 111, 112, 113, 1000, 1 << 30}) {
        SCOPED_TRACE("w " + std::to_string(w));
        expect_forward({.groups = 1, .lengths = {250}, .w = w});
    }
}

TEST(WarpgroupForward, every_compression_equals_the_oracle) {
    struct Blocks {
        int l;
        int d;
    };
    for (const Blocks blocks : {Blocks{1, 1}, {2, 1}, {5, 3}, {16, 16}, {32, 16}, {101, 1}}) {
        SCOPED_TRACE("l " + std::to_string(blocks.l) + ", d " + std::to_string(blocks.d));
        expect_forward({.groups = 1,
                        .lengths = {250},
                        .branch = DenseBranch::kCompressed,
                        .l = blocks.l,
                        .d = blocks.d});
    }
}

TEST(WarpgroupForward, sequences_of_a_batch_do_not_see_each_other) {
    for (const bool head_major : {false, true}) {
        SCOPED_TRACE(head_major ? "heads before tokens" : "tokens before heads");
        expect_both({.lengths = {70, 70, 70}, .l = 8, .d = 4, .head_major = head_major});
    }
}

// Also: rows around and between the sequences hold NaN, are not read, and stay as they are.
TEST(WarpgroupForward, ragged_sequences_equal_the_oracle) {
    for (const int per_group : {1, 16}) {
        SCOPED_TRACE("heads in a group " + std::to_string(per_group));
        expect_both({.groups = 2,
                     .per_group = per_group,
                     .lengths = {33, 0, 1, 140, 31, 64},
                     .w = 120,
                     .packed = true});
    }
}

TEST(WarpgroupForward, unusual_values_equal_the_oracle) {
    for (const HalfType dtype : {HalfType::kBf16, HalfType::kFp16})
        for (const Data data : {Data::kTiny, Data::kHuge, Data::kEqualKeys}) {
            SCOPED_TRACE("data " + std::to_string(static_cast<int>(data)));
            expect_both({.dtype = dtype, .lengths = {180}, .l = 2, .d = 1, .w = 150, .data = data});
        }
}

TEST(WarpgroupForward, a_nan_stays_in_its_row_and_is_not_hidden) {
    for (const DenseBranch branch : {DenseBranch::kWindow, DenseBranch::kCompressed})
        expect_nan_stays(by_warpgroups({.lengths = {150}, .branch = branch, .l = 4, .d = 1}), 20);
}

TEST(WarpgroupForward, queries_that_see_nothing_give_zeros_in_any_order_of_threads) {
    for (std::uint64_t seed = 0; seed < 6; ++seed)
        expect_forward({.groups = 1,
                        .per_group = 16,
                        .lengths = {40},
                        .branch = DenseBranch::kCompressed,
                        .seed = seed});
}

TEST(WarpgroupForward, no_order_of_threads_and_no_number_of_thread_blocks_changes_a_bit) {
    const DenseCase c =
        by_warpgroups({.per_group = 8, .lengths = {190, 41}, .l = 2, .d = 1, .w = 150, .packed = true});
    expect_same_bits(c, expect_dense_forward);
}

TEST(WarpgroupForward, widths_without_a_kernel_are_refused) {
    alignas(16) static char memory[64];
    DenseForward p;
    p.scale = 1;
    p.q = p.k = p.v = ConstRows{memory, 8, 8, 8};
    p.out = {memory, 8, 8, 8};
    for (const int width : {32, 96}) {
        p.shape.dk = p.shape.dv = width;
        EXPECT_EQ(launch_dense_forward(p, nullptr, KernelPath::kWarpgroup), cudaErrorInvalidValue);
    }
}

}  // namespace
}  // namespace nsa::prefill_test
