// The counted tables and formulas of the kernels' design, at H=64 G=4 d=128, bf16, one sequence.
#include "nsa_core/bench/prefill_floor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nsa::core::bench {
namespace {

using ::testing::DoubleEq;
using ::testing::DoubleNear;

constexpr double kTera = 1e12;
constexpr double kGiga = 1e9;
constexpr Ceilings kH200{.bytes_per_s = 4.26e12, .flops_per_s = 715e12};  // copy rate and cuBLAS, measured

PrefillShape paper(std::int64_t seq) {
    PrefillShape shape{.seq = seq};
    shape.config.heads = 64;
    shape.config.groups = 4;
    shape.config.dk = shape.config.dv = 128;
    return shape;
}

double tera(PrefillPart part, std::int64_t seq) {
    return part_work(part, Pass::kForward, paper(seq)).flops / kTera;
}

struct Counted {
    std::int64_t seq;
    double cmp, importance, sel, win;  // TFLOP forward
    double forward_ms, backward_ms;    // at 715 TFLOP/s
};
constexpr Counted kTable[] = {{8192, 0.07, 0.03, 0.25, 0.13, 0.68, 1.58},
                              {16384, 0.27, 0.14, 0.52, 0.27, 1.68, 3.71},
                              {32768, 1.10, 0.55, 1.05, 0.55, 4.53, 9.42},
                              {65536, 4.39, 2.20, 2.12, 1.10, 13.7, 26.6}};

TEST(PrefillFloor, CountsTheProductsOfTheTable) {
    constexpr double kRounded = 0.006;  // the table has two decimals
    for (const Counted& row : kTable) {
        EXPECT_THAT(tera(PrefillPart::kCompressed, row.seq), DoubleNear(row.cmp, kRounded)) << row.seq;
        EXPECT_THAT(tera(PrefillPart::kSelect, row.seq), DoubleNear(row.importance, kRounded)) << row.seq;
        EXPECT_THAT(tera(PrefillPart::kSelected, row.seq), DoubleNear(row.sel, kRounded)) << row.seq;
        EXPECT_THAT(tera(PrefillPart::kSliding, row.seq), DoubleNear(row.win, kRounded)) << row.seq;
    }
}

// The table counts attention alone; compression and gate add less than a percent.
TEST(PrefillFloor, IsTheTimeOfTheTableForwardAndBackward) {
    for (const Counted& row : kTable) {
        const double forward = floor_of(prefill_work(Pass::kForward, paper(row.seq)), kH200).ms();
        const double backward = floor_of(prefill_work(Pass::kBackward, paper(row.seq)), kH200).ms();
        EXPECT_THAT(forward, DoubleNear(row.forward_ms, 0.01 * row.forward_ms)) << row.seq;
        EXPECT_THAT(backward, DoubleNear(row.backward_ms, 0.01 * row.backward_ms)) << row.seq;
    }
}

// docs/kernels/compression.md: hidden and out forward; parts and rows backward, and what leads to them.
TEST(PrefillFloor, CountsTheProductsOfALearnableCompressor) {
    PrefillShape shape = paper(65536);
    shape.config.compressor = Compressor::kMlp;
    const auto giga = [&](Pass pass) { return part_work(PrefillPart::kCompress, pass, shape).flops / kGiga; };
    EXPECT_THAT(giga(Pass::kForward), DoubleNear(17.7, 0.05));
    EXPECT_THAT(giga(Pass::kBackward), DoubleNear(35.4, 0.1));
}

TEST(PrefillFloor, CountsTheCompulsoryBytesOfTheFormulas) {
    const auto bytes = [](PrefillPart part, Pass pass) {
        return part_work(part, pass, paper(65536)).bytes / kGiga;
    };
    EXPECT_THAT(bytes(PrefillPart::kCompress, Pass::kForward), DoubleNear(0.143, 0.001));
    for (const PrefillPart part : {PrefillPart::kCompressed, PrefillPart::kSelected, PrefillPart::kSliding}) {
        EXPECT_THAT(bytes(part, Pass::kForward), DoubleNear(2.147, 0.001));
        EXPECT_THAT(bytes(part, Pass::kBackward), DoubleNear(3.221, 0.001));
    }
    EXPECT_THAT(bytes(PrefillPart::kCombine, Pass::kForward), DoubleNear(4.295, 0.001));
    EXPECT_THAT(floor_of(part_work(PrefillPart::kCombine, Pass::kForward, paper(65536)), kH200).ms(),
                DoubleNear(1.0, 0.05));
}

TEST(PrefillFloor, BackwardMakesTwoAndAHalfTimesTheProductsOfForwardAndNoneForSelection) {
    for (const PrefillPart part : {PrefillPart::kCompressed, PrefillPart::kSelected, PrefillPart::kSliding}) {
        EXPECT_THAT(part_work(part, Pass::kBackward, paper(4096)).flops,
                    DoubleEq(2.5 * part_work(part, Pass::kForward, paper(4096)).flops));
    }
    EXPECT_EQ(part_work(PrefillPart::kSelect, Pass::kBackward, paper(4096)).flops, 0);
}

// dS Q, dS K and the scores are dk wide, P dO and dO V are dv wide.
TEST(PrefillFloor, KnowsKeysThatAreWiderThanValues) {
    PrefillShape shape = paper(2048);
    shape.config.dk = 192;
    const Work forward = part_work(PrefillPart::kSliding, Pass::kForward, shape);
    const Work backward = part_work(PrefillPart::kSliding, Pass::kBackward, shape);
    EXPECT_THAT(backward.flops / forward.flops, DoubleNear((3 * 192 + 2 * 128) / (192.0 + 128), 1e-12));
}

TEST(PrefillFloor, AStepIsForwardAndBackward) {
    const Work step = prefill_work(Pass::kStep, paper(4096));
    EXPECT_THAT(step.flops, DoubleEq(prefill_work(Pass::kForward, paper(4096)).flops +
                                     prefill_work(Pass::kBackward, paper(4096)).flops));
    EXPECT_GT(step.bytes, prefill_work(Pass::kBackward, paper(4096)).bytes);
}

TEST(PrefillFloor, SumsWhatEveryQuerySees) {
    NsaConfig config;
    config.l = 4;
    config.d = 2;
    config.l_sel = 4;
    config.n = 2;
    config.n_local = 1;
    config.w = 3;
    const VisiblePairs pairs = visible_pairs(config, 6);
    EXPECT_EQ(pairs.win, 1 + 2 + 3 + 3 + 3 + 3);
    EXPECT_EQ(pairs.sel, 1 + 2 + 3 + 4 + 5 + 6);
    EXPECT_EQ(pairs.cmp, 0 + 0 + 0 + 1 + 1 + 2);
}

TEST(PrefillFloor, TheModuleAddsItsProjectionsAndOnlyThem) {
    PrefillShape module = paper(1024);
    module.config.dim = 512;
    module.input_weights = 1000;
    module.output_weights = 300;
    const double attention = prefill_work(Pass::kForward, paper(1024)).flops;
    EXPECT_THAT(prefill_work(Pass::kForward, module).flops - attention, DoubleNear(2 * 1024 * 1300.0, 1));
    EXPECT_EQ(part_work(PrefillPart::kProject, Pass::kForward, paper(1024)).flops, 0);
    EXPECT_EQ(part_work(PrefillPart::kProject, Pass::kBackward, module).flops, 2 * 2 * 1024 * 1000.0);
}

}  // namespace
}  // namespace nsa::core::bench
