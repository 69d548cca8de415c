#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "program.hpp"

namespace nsa::core {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::Gt;
using ::testing::HasSubstr;
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

TEST_F(TrainSmoke, WritesOneCsvRowForEachStep) {
    const Ended ended = run(small({"--steps", "3"}));
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    const std::string csv = text_of("training.csv");
    EXPECT_THAT(csv, StartsWith("step,loss,grad_norm,tokens_per_s\n0,"));
    EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 4);
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
    const Ended folder = run(small({"--data", folder_.string()}));
    EXPECT_EQ(folder.exit_code, 2);
    EXPECT_THAT(folder.err, HasSubstr("Is a directory"));
}

}  // namespace
}  // namespace nsa::core
