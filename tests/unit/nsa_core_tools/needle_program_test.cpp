#include <gmock/gmock.h>

#include <algorithm>

#include "program.hpp"

namespace nsa::core {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Le;
using ::testing::SizeIs;
using ::testing::StartsWith;

class Needle : public Program {
  protected:
    [[nodiscard]] Ended find(std::vector<std::string> more, const std::string& seq = "4096") const {
        std::vector<std::string> args{"needle", "--seq", seq};
        if (std::ranges::find(more, "--trials") == more.end()) args.insert(args.end(), {"--trials", "2"});
        args.insert(args.end(), more.begin(), more.end());
        return run(args, {{"OMP_NUM_THREADS", "1"}});
    }
};

language::Labels row(const char* depth, const char* seq = "4096") {
    return {{"S", seq}, {"depth", depth}};
}

TEST_F(Needle, IsFoundAtEveryDepthOf4k) {
    const Ended ended = find({});
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    for (const char* depth : {"0", "10", "25", "50", "75", "90", "100"}) {
        EXPECT_EQ(ended.metric("hit_rate", row(depth)), 1) << depth;
        EXPECT_EQ(ended.metric("accuracy", row(depth)), 1) << depth;
        EXPECT_THAT(ended.samples("value_error", row(depth)), AllOf(SizeIs(2), Each(Le(1e-3))));
    }
    EXPECT_EQ(ended.fact("route_taken", {{"branch", "selected"}}), "reference");
}

TEST_F(Needle, IsFoundIn64kByTheLastQueryAlone) {
    const Ended ended = find({"--depth", "50", "--trials", "1"}, "65536");
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_EQ(ended.metric("hit_rate", row("50", "65536")), 1);
    EXPECT_EQ(ended.metric("accuracy", row("50", "65536")), 1);
}

// Of 64 blocks 16 are chosen, 3 of them whatever the query asks.
TEST_F(Needle, SaysWhatChanceWouldFindAndWhereSelectionHasNoChoice) {
    const Ended ended = find({"--trials", "8", "--depth", "0,50"});
    EXPECT_EQ(ended.metric("forced", row("0")), 1);
    EXPECT_EQ(ended.metric("chance_hit_rate", row("0")), 1);
    EXPECT_EQ(ended.metric("forced", row("50")), 0);
    EXPECT_LE(ended.metric("chance_hit_rate", row("50")), 0.6);
}

TEST_F(Needle, TooWeakIsNotRetrievedAndTheRatesSaySo) {
    const Ended ended = find({"--strength", "1", "--depth", "50", "--trials", "8"});
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_LE(ended.metric("hit_rate", row("50")), 0.7);
    EXPECT_EQ(ended.metric("accuracy", row("50")), 0);
}

// A needle that selection does not pick cannot be in the output, however strong it is to attention itself:
// with one free block among many, a needle as weak as its neighbours once compressed stays hidden.
TEST_F(Needle, IsLostWhenItsBlockIsNotChosen) {
    const Ended ended = find({"--strength", "16", "--l", "512", "--d", "64", "--l-sel", "64", "--n", "4",
                              "--depth", "50", "--trials", "4"});
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_LT(ended.metric("hit_rate", row("50")), 1);
    EXPECT_LE(ended.metric("accuracy", row("50")), ended.metric("hit_rate", row("50")));
}

TEST_F(Needle, IsFoundByTheLastQueryOfAPrefill) {
    for (const char* route : {"sdpa", "reference"}) {
        const Ended ended =
            find({"--mode", "prefill", "--route", route, "--depth", "30,100", "--heads", "4"}, "1024");
        ASSERT_EQ(ended.exit_code, 0) << ended.err;
        EXPECT_EQ(ended.fact("route_taken", {{"branch", "selected"}}), route);
        for (const char* depth : {"30", "100"}) {
            EXPECT_EQ(ended.metric("hit_rate", row(depth, "1024")), 1);
            EXPECT_EQ(ended.metric("accuracy", row(depth, "1024")), 1);
        }
    }
}

TEST_F(Needle, SurvivesHalfPrecision) {
    for (const char* dtype : {"fp16", "bf16"}) {
        const Ended ended = find({"--dtype", dtype, "--depth", "25"}, "1024");
        EXPECT_EQ(ended.metric("hit_rate", row("25", "1024")), 1) << dtype;
        EXPECT_EQ(ended.metric("accuracy", row("25", "1024")), 1) << dtype;
    }
}

TEST_F(Needle, WritesOneCsvRowForEachLengthAndDepth) {
    const Ended ended = find({"--depth", "50,100"}, "256,512");
    EXPECT_THAT(text_of("needle.csv"),
                AllOf(StartsWith("S,depth,position,block,forced,trials,hit_rate,chance_hit_rate,accuracy,"),
                      HasSubstr("\n256,50,128,2,"), HasSubstr("\n512,100,511,7,1,2,1,1,1,")));
}

TEST_F(Needle, RouteCudaIsSkippedWithTheReasonWhereItIsNot) {
    for (const char* mode : {"decode", "prefill"}) {
        const Ended ended = find({"--route", "cuda", "--mode", mode});
        EXPECT_EQ(ended.exit_code, 77);
        EXPECT_THAT(ended.skip().value_or(""), HasSubstr("route cuda is unavailable: "));
    }
}

TEST_F(Needle, MistakesAreUsageErrors) {
    const Ended narrow = find({"--heads", "16", "--groups", "1", "--dk", "8"});
    EXPECT_EQ(narrow.exit_code, 2);
    EXPECT_THAT(narrow.err, HasSubstr("takes --dk of as many; it is 8"));
    EXPECT_EQ(find({"--depth", "101"}).exit_code, 2);
}

}  // namespace
}  // namespace nsa::core
