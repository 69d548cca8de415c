// The dense branches, forward and backward, on the emulator.
#include <gtest/gtest.h>

#include "emulator/prefill/dense_case.hpp"

namespace nsa::prefill_test {
namespace {

using core::cuda::DenseBranch;
using core::cuda::HalfType;

struct Widths {
    int dk;
    int dv;
};
constexpr Widths kWidths[] = {{32, 32}, {64, 64}, {96, 96}, {128, 128}, {192, 128}};
constexpr HalfType kTypes[] = {HalfType::kBf16, HalfType::kFp16};

void expect_both(DenseCase c) {
    for (const DenseBranch branch : {DenseBranch::kWindow, DenseBranch::kCompressed}) {
        SCOPED_TRACE(branch == DenseBranch::kWindow ? "window" : "compressed");
        c.branch = branch;
        expect_dense(c);
    }
}

TEST(DenseBranches, every_width_and_type_equals_the_oracle) {
    for (const HalfType dtype : kTypes)
        for (const Widths widths : kWidths) {
            SCOPED_TRACE("dk " + std::to_string(widths.dk));
            expect_both({.dtype = dtype,
                         .dk = widths.dk,
                         .dv = widths.dv,
                         .groups = 1,
                         .per_group = 4,
                         .lengths = {75},
                         .l = 8,
                         .d = 4,
                         .gated = true});
        }
}

TEST(DenseBranches, every_number_of_heads_in_a_group_equals_the_oracle) {
    for (const int per_group : {1, 2, 4, 8, 16}) {
        SCOPED_TRACE("heads in a group " + std::to_string(per_group));
        expect_both({.per_group = per_group, .lengths = {150}, .w = 100});
    }
    expect_both({.dk = 128, .dv = 128, .groups = 1, .per_group = 16, .lengths = {140}, .w = 90});
}

// Around the tiles: 16, 32 and 64 keys, 8 to 32 tokens, and l = 32.
TEST(DenseBranches, every_length_equals_the_oracle) {
    for (const int length : {1, 2, 8, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 96, 128, 129, 200}) {
        SCOPED_TRACE("S " + std::to_string(length));
        expect_both({.groups = 1, .per_group = 4, .lengths = {length}, .w = 64});
    }
}

TEST(DenseBranches, every_window_equals_the_oracle) {
    for (const int w : {1, 2, 31, 32, 33, 63, 64, 65, 99, 100, 1000, 1 << 30}) {
        SCOPED_TRACE("w " + std::to_string(w));
        expect_dense({.groups = 1, .lengths = {100}, .w = w});
    }
}

TEST(DenseBranches, every_compression_equals_the_oracle) {
    struct Blocks {
        int l;
        int d;
    };
    for (const Blocks blocks : {Blocks{1, 1}, {2, 1}, {4, 4}, {5, 3}, {16, 16}, {101, 1}}) {
        SCOPED_TRACE("l " + std::to_string(blocks.l) + ", d " + std::to_string(blocks.d));
        expect_dense({.groups = 1,
                      .lengths = {100},
                      .branch = DenseBranch::kCompressed,
                      .l = blocks.l,
                      .d = blocks.d});
    }
}

TEST(DenseBranches, sequences_of_a_batch_do_not_see_each_other) {
    for (const bool head_major : {false, true}) {
        SCOPED_TRACE(head_major ? "heads before tokens" : "tokens before heads");
        expect_both({.lengths = {70, 70, 70}, .l = 8, .d = 4, .head_major = head_major, .gated = true});
    }
}

// Also: rows around and between the sequences hold NaN, are not read, and stay as they are.
TEST(DenseBranches, ragged_sequences_equal_the_oracle) {
    for (const int per_group : {1, 16}) {
        SCOPED_TRACE("heads in a group " + std::to_string(per_group));
        expect_both({.groups = 1,
                     .per_group = per_group,
                     .lengths = {33, 0, 1, 100, 31, 64},
                     .packed = true,
                     .gated = true,
                     .splits = 2});
    }
}

TEST(DenseBranches, unusual_values_equal_the_oracle) {
    for (const HalfType dtype : kTypes)
        for (const Data data : {Data::kTiny, Data::kHuge, Data::kEqualKeys}) {
            SCOPED_TRACE("data " + std::to_string(static_cast<int>(data)));
            expect_both({.dtype = dtype, .dk = 64, .dv = 64, .lengths = {90}, .l = 8, .d = 4, .data = data});
        }
}

TEST(DenseBranches, a_nan_stays_in_its_row_and_is_not_hidden) {
    expect_nan_stays({.lengths = {50}}, 20);
    expect_nan_stays({.lengths = {50}, .branch = DenseBranch::kCompressed, .l = 4, .d = 4}, 20);
}

TEST(DenseBranches, queries_that_see_nothing_give_zeros_in_any_order_of_threads) {
    for (std::uint64_t seed = 0; seed < 12; ++seed)
        expect_dense({.groups = 1,
                      .per_group = 16,
                      .lengths = {40},
                      .branch = DenseBranch::kCompressed,
                      .seed = seed});
}

TEST(DenseBranches, shares_of_the_tokens_add_up) {
    for (const int splits : {2, 3, 7}) {
        SCOPED_TRACE("splits " + std::to_string(splits));
        expect_both({.groups = 2, .lengths = {130}, .l = 4, .d = 2, .gated = true, .splits = splits});
    }
}

TEST(DenseBranches, gradients_of_queries_add_to_what_is_there) {
    expect_both({.lengths = {70}, .add_to_d_q = true});
}

TEST(DenseBranches, work_grows_with_the_window_and_half_the_square_of_compressed_rows) {
    const auto work = [](DenseBranch branch, int length) {
        return expect_dense({.groups = 1,
                             .per_group = 16,
                             .lengths = {length},
                             .branch = branch,
                             .l = 2,
                             .d = 1,
                             .w = 16})
            .mma;
    };
    EXPECT_LE(work(DenseBranch::kWindow, 256) * 10, work(DenseBranch::kWindow, 128) * 22);
    // Four times the pairs, less what tiles on the diagonal waste.
    EXPECT_LE(work(DenseBranch::kCompressed, 256) * 10, work(DenseBranch::kCompressed, 128) * 40);
}

TEST(DenseBranches, no_order_of_threads_and_blocks_changes_a_bit) {
    DenseCase c{
        .dk = 64, .dv = 64, .per_group = 8, .lengths = {90, 41}, .packed = true, .gated = true, .splits = 3};
    for (const DenseBranch branch : {DenseBranch::kWindow, DenseBranch::kCompressed}) {
        c.branch = branch;
        c.seed = 0;
        const Written first = expect_dense(c);
        for (const std::uint64_t seed : {1, 2, 3, 4}) {
            SCOPED_TRACE("schedule " + std::to_string(seed));
            c.seed = seed;
            EXPECT_EQ(expect_dense(c), first);
        }
    }
}

}  // namespace
}  // namespace nsa::prefill_test
