// Learnable compression by kernels: its cases. What each expects, compress_case.hpp says.
#include <gtest/gtest.h>

#include <string>

#include "emulator/prefill/compress_case.hpp"
#include "nsa_core/cuda/compress/compress.hpp"

namespace nsa::prefill_test {
namespace {

using core::cuda::HalfType;

TEST(PrefillCompress, equals_the_loops_for_every_width_and_both_types) {
    for (const HalfType dtype : {HalfType::kBf16, HalfType::kFp16})
        for (const auto& [dk, dv] :
             {std::pair{32, 32}, {64, 64}, {96, 96}, {128, 128}, {192, 128}, {16, 8}, {8, 40}}) {
            SCOPED_TRACE(std::to_string(dk) + ", " + std::to_string(dv));
            expect_compression({.dtype = dtype, .dk = dk, .dv = dv, .lengths = {29}});
        }
}

TEST(PrefillCompress, equals_the_loops_for_hidden_widths_around_the_tile) {
    for (const int hidden : {8, 24, 64, 72, 128, 136}) {
        SCOPED_TRACE(hidden);
        expect_compression({.dk = 48, .dv = 16, .lengths = {30}, .hidden = hidden});
    }
}

TEST(PrefillCompress, equals_the_loops_for_blocks_that_overlap_in_any_way) {
    for (const auto& [l, d] : {std::pair{32, 16},
                               {4, 4},     // not at all
                               {7, 3},     // two or three cover a token
                               {9, 2},     // five
                               {2, 5},     // tokens that no block covers
                               {1, 1}}) {  // one token
        SCOPED_TRACE("l " + std::to_string(l) + ", d " + std::to_string(d));
        expect_compression({.groups = 1, .lengths = {83}, .l = l, .d = d});
    }
}

TEST(PrefillCompress, equals_the_loops_where_rows_fill_several_tiles) {
    expect_compression({.dk = 16, .dv = 16, .groups = 3, .lengths = {200, 200}, .l = 4, .d = 2, .splits = 3});
    expect_compression({.dk = 16, .dv = 16, .groups = 1, .lengths = {133}, .l = 2, .d = 1, .splits = 4});
}

TEST(PrefillCompress, equals_the_loops_for_batches_in_any_order_of_memory) {
    for (const bool head_major : {false, true})
        expect_compression({.groups = 4, .lengths = {41, 41, 41}, .head_major = head_major, .splits = 2});
}

TEST(PrefillCompress, equals_the_loops_for_packed_sequences_also_without_a_compressed_token) {
    expect_compression({.lengths = {31, 0, 90, 7, 8, 0, 0, 1, 33}, .packed = true, .splits = 2});
    expect_compression({.groups = 5, .lengths = {7, 5}, .packed = true, .splits = 2});
    expect_compression({.groups = 1, .lengths = {3, 300, 9}, .l = 4, .d = 2, .packed = true, .splits = 3});
}

TEST(PrefillCompress, unusual_values_equal_the_loops) {
    for (const HalfType dtype : {HalfType::kBf16, HalfType::kFp16})
        for (const PhiData data : {PhiData::kTiny, PhiData::kHuge, PhiData::kEqual}) {
            SCOPED_TRACE(static_cast<int>(data));
            expect_compression({.dtype = dtype, .lengths = {70}, .data = data});
        }
}

TEST(PrefillCompress, gives_the_same_bits_in_every_order_of_threads) {
    CompressCase c{.dk = 64, .dv = 32, .lengths = {19, 150}, .hidden = 72, .packed = true, .splits = 3};
    const CompressBits first = expect_compression(c);
    for (const std::uint64_t seed : {1, 2, 3, 4}) {
        SCOPED_TRACE("schedule " + std::to_string(seed));
        c.seed = seed;
        EXPECT_EQ(expect_compression(c), first);
    }
}

TEST(PrefillCompressPlan, refuses_rows_that_are_no_whole_pieces) {
    core::cuda::PrefillShape shape;
    shape.groups = shape.batch = 1;
    shape.dk = shape.dv = 32;
    EXPECT_EQ(core::cuda::compress_unsupported(shape, 64), std::nullopt);
    EXPECT_NE(core::cuda::compress_unsupported(shape, 10).value().find("multiples of 8"), std::string::npos);
    shape.dv = 12;
    EXPECT_NE(core::cuda::compress_unsupported(shape, 64).value().find("12"), std::string::npos);
    shape.dv = 32;
    shape.compressed = std::int64_t{1} << 32;
    EXPECT_NE(core::cuda::compress_unsupported(shape, 64).value().find("2^31"), std::string::npos);
}

TEST(PrefillCompressPlan, shares_the_rows_out_until_the_device_is_full) {
    core::cuda::PrefillShape shape;
    shape.groups = 4;
    shape.batch = 1;
    shape.dk = shape.dv = 128;
    const core::cuda::DeviceLimits h200{.sm = 90, .multiprocessors = 132};
    shape.compressed = 4095;
    EXPECT_EQ(plan_compress_backward(shape, 64, h200).splits, 4) << "132 tiles, 528 thread blocks at once";
    EXPECT_EQ(plan_compress_backward(shape, 512, h200).splits, 1);
    shape.compressed = 7;
    EXPECT_EQ(plan_compress_backward(shape, 64, h200).splits, 1) << "one step";
}

}  // namespace
}  // namespace nsa::prefill_test
