// gate-health and memory-scaling as users run them, on the CPU.
#include <gmock/gmock.h>

#include <algorithm>

#include "program.hpp"

namespace nsa::core {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::Ge;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Le;
using ::testing::SizeIs;
using ::testing::StartsWith;

using GateHealth = Program;
using MemoryScaling = Program;

std::vector<std::string> gates(const std::vector<std::string>& more = {}) {
    std::vector<std::string> args{"gate-health", "--dim", "32", "--heads", "4", "--dk",      "8", "--dv",
                                  "8",           "--seq", "40", "--batch", "2", "--samples", "3"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
}

TEST_F(GateHealth, FreshGatesAreOpenAlikeInEveryLayer) {
    const Ended ended = run(gates({"--steps", "0"}));
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_THAT(ended.samples("loss"), SizeIs(0));
    for (const char* layer : {"0", "1"}) {
        EXPECT_THAT(ended.samples("gate_entropy", {{"layer", layer}}), AllOf(SizeIs(3), Each(Ge(0.5))));
        EXPECT_THAT(ended.samples("gate_collapsed", {{"layer", layer}}), AllOf(SizeIs(3), Each(0)));
        for (const char* branch : {"compressed", "selected", "sliding"}) {
            const language::Labels row{{"layer", layer}, {"branch", branch}};
            EXPECT_THAT(ended.samples("gate_mean", row), AllOf(SizeIs(3), Each(AllOf(Ge(0.2), Le(0.8)))));
            EXPECT_THAT(ended.samples("gate_low", row), Each(0));
        }
    }
    const std::string csv = text_of("gates.csv");
    EXPECT_THAT(csv, StartsWith("sample,layer,branch,mean,low,high,entropy,taken_all,collapsed\n"));
    EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 3 * 2 * 3);
}

TEST_F(GateHealth, AGateThatIsForcedIsACollapse) {
    const Ended ended = run(gates({"--layers", "1", "--steps", "0"}), {{"NSA_FORCE_BRANCH", "sel"}});
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_THAT(ended.samples("gate_collapsed", {{"layer", "0"}}), AllOf(SizeIs(3), Each(1)));
    EXPECT_THAT(ended.samples("gate_entropy", {{"layer", "0"}}), Each(0));
    EXPECT_THAT(ended.samples("gate_high", {{"layer", "0"}, {"branch", "selected"}}), Each(1));
    EXPECT_THAT(ended.samples("gate_low", {{"layer", "0"}, {"branch", "sliding"}}), Each(1));
}

TEST_F(GateHealth, TheGatesAreThoseOfATrainedModel) {
    const Ended fresh = run(gates({"--steps", "4", "--lr", "1e-12"}));
    const Ended trained = run(gates({"--steps", "4", "--lr", "1e-2"}));
    ASSERT_EQ(fresh.exit_code, 0) << fresh.err;
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    EXPECT_THAT(trained.samples("loss"), SizeIs(4));
    EXPECT_THAT(trained.samples("grad_norm"), AllOf(SizeIs(4), Each(Gt(0))));
    const language::Labels row{{"layer", "0"}, {"branch", "sliding"}};
    EXPECT_NE(trained.samples("gate_mean", row), fresh.samples("gate_mean", row));
}

TEST_F(GateHealth, ALearningRateMuchTooHighCollapsesThem) {
    const Ended ended = run(gates({"--steps", "4", "--lr", "1", "--gate", "softmax"}));
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_THAT(ended.samples("gate_collapsed", {{"layer", "0"}}), AllOf(SizeIs(3), Contains(1)));
}

TEST_F(GateHealth, ARouteThatIsAskedForIsTakenOrTheCaseIsSkipped) {
    const Ended taken = run(gates({"--steps", "1", "--route", "reference"}));
    ASSERT_EQ(taken.exit_code, 0) << taken.err;
    for (const char* branch : {"compressed", "selected", "sliding"})
        EXPECT_EQ(taken.fact("route_taken", {{"branch", branch}}), "reference");
    const Ended skipped = run(gates({"--route", "cuda", "--device", "cpu"}));
    EXPECT_EQ(skipped.exit_code, 77) << skipped.err;
    EXPECT_THAT(skipped.samples("gate_mean"), SizeIs(0));
}

TEST_F(MemoryScaling, DecodingGrowsWithTheCacheAndWholeSequencesFaster) {
    const Ended ended =
        run({"memory-scaling", "--seq", "256,512,1024", "--passes", "prefill,decode", "--routes",
             "sdpa,reference", "--dim", "32", "--heads", "2", "--groups", "1", "--dk", "16", "--dv", "16"});
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    for (const char* route : {"sdpa", "reference"}) {
        const language::Labels decode{{"route", route}, {"pass", "decode"}};
        EXPECT_NEAR(ended.metric("exponent_last", decode), 1, 0.1);
        EXPECT_GT(ended.metric("exponent", {{"route", route}, {"pass", "prefill"}}), 1.3);
        // Keys and values of 16 floats each: of two branches and of the compression's input, and for the
        // compressed branch a sixteenth. The step itself holds little beside them.
        language::Labels point = decode;
        point["S"] = "1024";
        const double cache = (3 + 1.0 / 16) * (16 + 16) * 4;
        EXPECT_GE(ended.metric("bytes_per_token", point), 0.99 * cache);
        EXPECT_LT(ended.metric("bytes_per_token", point), 3 * cache);
        EXPECT_EQ(ended.metric("bytes_per_token", point) * 1024, ended.metric("peak_bytes", point));
        for (const char* branch : {"compressed", "selected", "sliding"}) {
            language::Labels of_branch = point;
            of_branch["branch"] = branch;
            EXPECT_EQ(ended.fact("route_taken", of_branch), route);
            of_branch["pass"] = "prefill";
            EXPECT_EQ(ended.fact("route_asked", of_branch), route);
        }
    }
    EXPECT_THAT(ended.fact("memory_counted"), HasSubstr("CPU allocator"));
    EXPECT_THAT(text_of("memory.csv"), StartsWith("route,pass,S,peak_bytes,bytes_per_token\n"));
}

TEST_F(MemoryScaling, BytesAreCountedExactlySoARunRepeatsItself) {
    const std::vector<std::string> args{"memory-scaling", "--seq", "64,128", "--passes", "train"};
    const language::Labels point{{"route", "auto"}, {"pass", "train"}, {"S", "128"}};
    EXPECT_EQ(run(args).metric("peak_bytes", point), run(args).metric("peak_bytes", point));
}

TEST_F(MemoryScaling, WhatMakesNoSenseIsRefusedAndWhatCannotRunIsSkipped) {
    const Ended one = run({"memory-scaling", "--seq", "64,64"});
    EXPECT_EQ(one.exit_code, 2);
    EXPECT_THAT(one.err, HasSubstr("at least two different lengths"));
    const Ended typo = run({"memory-scaling", "--passes", "prefill,decod"});
    EXPECT_EQ(typo.exit_code, 2);
    EXPECT_THAT(typo.err,
                AllOf(HasSubstr("one or more, separated by commas"), HasSubstr("did you mean decode?")));
    const Ended fa2 = run({"memory-scaling", "--routes", "sdpa,fa2_dense"});
    EXPECT_EQ(fa2.exit_code, 77);
    EXPECT_THAT(fa2.skip().value_or(""), HasSubstr("route fa2_dense"));
}

}  // namespace
}  // namespace nsa::core
