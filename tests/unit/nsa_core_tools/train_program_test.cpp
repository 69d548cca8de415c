#include <gmock/gmock.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <fstream>

#include "program.hpp"

namespace nsa::core {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Lt;
using ::testing::SizeIs;
using ::testing::StartsWith;

using TrainSmoke = Program;

std::vector<std::string> small(const std::vector<std::string>& more = {}) {
    std::vector<std::string> args{"train-smoke", "--dim", "32",    "--heads", "4",       "--dk", "8",
                                  "--dv",        "8",     "--seq", "48",      "--batch", "4"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
}

TEST_F(TrainSmoke, TheLossStartsAtGuessingAndFalls) {
    const Ended ended = run(small({"--steps", "30", "--lr", "3e-3"}));
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    const auto loss = ended.samples("loss");
    ASSERT_THAT(loss, SizeIs(30));
    EXPECT_NEAR(loss.front(), std::log(256), 0.2);
    EXPECT_LT(loss.back(), 3.5);
    EXPECT_THAT(ended.samples("grad_norm"), AllOf(SizeIs(30), Each(Gt(0))));
    EXPECT_THAT(ended.samples("tokens_per_s"), AllOf(SizeIs(30), Each(Gt(0))));
    EXPECT_THAT(ended.samples("step_ms"), AllOf(SizeIs(30), Each(Gt(0))));
    EXPECT_EQ(ended.metric("steps_done"), 30);
    EXPECT_EQ(ended.metric("steps_asked"), 30);
}

TEST_F(TrainSmoke, ALearnableCompressorTrainsToo) {
    const Ended ended =
        run(small({"--steps", "10", "--lr", "3e-3", "--compressor", "mlp", "--phi-hidden", "8"}));
    const Ended mean = run(small({"--steps", "10", "--lr", "3e-3"}));
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_LT(ended.samples("loss").back(), ended.samples("loss").front());
    EXPECT_GT(ended.metric("parameters"), mean.metric("parameters"));
}

TEST_F(TrainSmoke, WritesOneCsvRowForEachStep) {
    const Ended ended = run(small({"--steps", "3"}));
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    const std::string csv = text_of("training.csv");
    EXPECT_THAT(csv,
                StartsWith("step,loss,grad_norm,tokens_per_s,step_ms,gate_cmp,gate_sel,gate_win,gate_entropy,"
                           "gate_taken_all,gate_collapsed\n0,"));
    EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 4);
    EXPECT_THAT(ended.samples("gate_entropy"), AllOf(SizeIs(3), Each(Gt(0.5))));
    EXPECT_THAT(ended.samples("gate_collapsed"), AllOf(SizeIs(3), Each(0)));
    EXPECT_THAT(ended.samples("gate_mean", {{"branch", "sliding"}}), AllOf(SizeIs(3), Each(Gt(0.2))));
    const boost::json::value curves = boost::json::parse(text_of("training.json"));
    EXPECT_EQ(curves.at("loss").as_array().size(), 3u);
    EXPECT_EQ(curves.at("loss").as_array()[2].to_number<double>(), ended.samples("loss")[2]);
    EXPECT_EQ(curves.at("data").as_string(), "synthetic");
}

TEST_F(TrainSmoke, SaysThatItsStepsAreEagerAndWhy) {
    const Ended ended = run(small({"--steps", "4", "--device", "cpu"}));
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_EQ(ended.fact("step_graph"), "eager: a CUDA graph needs a CUDA device");
}

TEST_F(TrainSmoke, AGraphThatIsAskedForAndCannotBeIsASkip) {
    const Ended ended = run(small({"--steps", "4", "--device", "cpu", "--graph", "on"}));
    EXPECT_EQ(ended.exit_code, 77);
    EXPECT_EQ(ended.skip(), "--graph on: a CUDA graph needs a CUDA device");
}

TEST_F(TrainSmoke, RouteCudaIsSkippedWithTheReasonWhereItIsNot) {
    const Ended ended = run(small({"--steps", "1", "--device", "cpu", "--dtype", "bf16", "--route", "cuda"}));
    EXPECT_EQ(ended.exit_code, 77);
    EXPECT_THAT(ended.err, HasSubstr("route cuda"));
}

TEST_F(TrainSmoke, ASeedRepeatsExactly) {
    const auto first = run(small({"--steps", "3"})).samples("loss");
    EXPECT_THAT(first, SizeIs(3));
    EXPECT_EQ(run(small({"--steps", "3"})).samples("loss"), first);
    EXPECT_NE(run(small({"--steps", "3", "--seed", "1"})).samples("loss"), first);
}

TEST_F(TrainSmoke, HalfTypesTrainLikeFp32) {
    const double fp32 = run(small({"--steps", "8"})).samples("loss").back();
    for (const char* dtype : {"fp16", "bf16"}) {
        const Ended ended = run(small({"--steps", "8", "--dtype", dtype}));
        ASSERT_EQ(ended.exit_code, 0) << ended.err;
        EXPECT_NEAR(ended.samples("loss").back(), fp32, 0.05) << dtype;
    }
}

TEST_F(TrainSmoke, AccumulatedMicroBatchesAreOneLargeBatch) {
    const Ended whole = run(small({"--steps", "3", "--dtype", "fp64"}));
    std::vector<std::string> halved = small({"--steps", "3", "--dtype", "fp64", "--accumulate", "2"});
    *(std::find(halved.begin(), halved.end(), "--batch") + 1) = "2";
    const Ended parts = run(halved);
    ASSERT_EQ(parts.exit_code, 0) << parts.err;
    for (std::size_t step = 0; step < 3; ++step) {
        EXPECT_NEAR(parts.samples("loss")[step], whole.samples("loss")[step], 1e-12);
        EXPECT_NEAR(parts.samples("grad_norm")[step], whole.samples("grad_norm")[step], 1e-10);
    }
}

TEST_F(TrainSmoke, TwoRoutesTrainAlikeAndOneIsNoComparison) {
    const Ended ended = run(small({"--steps", "4", "--route", "sdpa", "--compare-route", "reference"}));
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_THAT(ended.samples("loss_gap"), AllOf(SizeIs(4), Each(Lt(1e-4))));
    EXPECT_THAT(ended.samples("loss_compared"), SizeIs(4));
    EXPECT_EQ(ended.fact("compare_route"), "reference");
    EXPECT_EQ(ended.fact("route_taken", {{"branch", "sliding"}}), "sdpa");
    EXPECT_THAT(text_of("compared.csv"), StartsWith("step,loss,loss_compared,loss_gap\n0,"));

    const Ended same = run(small({"--steps", "1", "--compare-route", "sdpa"}));
    EXPECT_EQ(same.exit_code, 1);
    EXPECT_THAT(same.err, HasSubstr("took the same routes"));
    EXPECT_THAT(same.samples("loss_gap"), SizeIs(0));
    const Ended itself = run(small({"--route", "sdpa", "--compare-route", "sdpa"}));
    EXPECT_EQ(itself.exit_code, 2);
    EXPECT_THAT(itself.err, HasSubstr("needs two routes"));
}

TEST_F(TrainSmoke, ARouteThatWouldFallBackIsSkipped) {
    const Ended ended = run(small({"--route", "fa2_dense"}));
    EXPECT_EQ(ended.exit_code, 77);
    EXPECT_THAT(ended.skip().value_or(""), HasSubstr("route fa2_dense"));
    EXPECT_THAT(ended.samples("loss"), SizeIs(0));
}

TEST_F(TrainSmoke, AFileIsReadAsBytes) {
    std::ofstream{folder_ / "text.txt"} << std::string(4096, 'a');
    const Ended ended =
        run(small({"--steps", "20", "--lr", "1e-2", "--data", (folder_ / "text.txt").string()}));
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_LT(ended.samples("loss").back(), 0.5) << "one letter over and over is soon known";
}

TEST_F(TrainSmoke, ALossThatIsNotANumberFailsAndSaysWhichStep) {
    const Ended ended = run(small({"--steps", "20", "--lr", "1e30"}));
    EXPECT_EQ(ended.exit_code, 1);
    EXPECT_THAT(ended.err, AllOf(HasSubstr("training failed: the"), HasSubstr("at step")));
    EXPECT_LT(ended.metric("steps_done"), 20);
    EXPECT_EQ(ended.metric("steps_asked"), 20);
}

TEST_F(TrainSmoke, RefusesDataThatIsMissingOrTooShort) {
    const Ended missing = run(small({"--data", "/no/such/file"}));
    EXPECT_EQ(missing.exit_code, 2);
    EXPECT_THAT(missing.err, AllOf(HasSubstr("/no/such/file"), HasSubstr("No such file")));
    std::ofstream{folder_ / "short.txt"} << "abc";
    const Ended shorter = run(small({"--data", (folder_ / "short.txt").string()}));
    EXPECT_EQ(shorter.exit_code, 2);
    EXPECT_THAT(shorter.err, AllOf(HasSubstr("3 bytes"), HasSubstr("at least 49")));
    std::ofstream{folder_ / "empty.txt"};
    const Ended empty = run(small({"--data", (folder_ / "empty.txt").string()}));
    EXPECT_EQ(empty.exit_code, 2);
    EXPECT_THAT(empty.err, HasSubstr("is empty"));
    const Ended folder = run(small({"--data", folder_.string()}));
    EXPECT_EQ(folder.exit_code, 2);
    EXPECT_THAT(folder.err, HasSubstr("Is a directory"));
}

}  // namespace
}  // namespace nsa::core
