#include <gmock/gmock.h>

#include <algorithm>
#include <sstream>

#include "program.hpp"

namespace nsa::core {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

using DecodeBench = Program;

const std::vector<std::string> kSmall{"decode-bench",
                                      "--seq",
                                      "1,40,100",
                                      "--dim",
                                      "32",
                                      "--heads",
                                      "4",
                                      "--groups",
                                      "2",
                                      "--dk",
                                      "8",
                                      "--dv",
                                      "8",
                                      "--l",
                                      "8",
                                      "--d",
                                      "4",
                                      "--l-sel",
                                      "8",
                                      "--n",
                                      "4",
                                      "--w",
                                      "16",
                                      "--warmup",
                                      "3",
                                      "--samples",
                                      "25"};

double median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
    return values[values.size() / 2];
}

TEST_F(DecodeBench, KeepsEveryRawSampleOfEveryPart) {
    const Ended ended = run(kSmall);
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    for (const char* seq : {"1", "40", "100"}) {
        for (const char* part : {"ms_total", "ms_cmp", "ms_sel", "ms_win", "ms_rest"}) {
            EXPECT_THAT(ended.samples(part, {{"S", seq}}), AllOf(SizeIs(25), Each(Gt(0))))
                << part << " " << seq;
        }
    }
    EXPECT_EQ(ended.fact("timer"), "steady_clock");
    for (const char* branch : {"compressed", "selected", "sliding"}) {
        EXPECT_EQ(ended.fact("route_taken", {{"branch", branch}, {"S", "40"}}), "sdpa");
    }
}

TEST_F(DecodeBench, PartsSumToTheTotal) {
    const Ended ended = run(kSmall);
    double parts = 0;
    for (const char* part : {"ms_cmp", "ms_sel", "ms_win", "ms_rest"}) {
        parts += median(ended.samples(part, {{"S", "100"}}));
    }
    const double total = median(ended.samples("ms_total", {{"S", "100"}}));
    // Wide, because the host may be busy; a missing or doubled part, or another unit, is further off.
    EXPECT_GT(parts, total * 0.6);
    EXPECT_LT(parts, total * 1.6);
}

TEST_F(DecodeBench, ReadsWhatTheFormulaSays) {
    const Ended ended = run(kSmall);
    // S=100, t=99: cmp (100-8)/4+1 = 24; sel 3 whole blocks of 8 and 4 tokens of the query's own; win 16.
    const language::Labels labels{{"S", "100"}};
    EXPECT_EQ(ended.metric("reads_actual_cmp", labels), 24);
    EXPECT_EQ(ended.metric("reads_actual_sel", labels), 28);
    EXPECT_EQ(ended.metric("reads_actual_win", labels), 16);
    EXPECT_EQ(ended.metric("reads_actual_total", labels), 68);
    for (const char* seq : {"1", "40", "100"}) {
        for (const char* branch : {"total", "cmp", "sel", "win"}) {
            EXPECT_EQ(ended.metric("reads_actual_" + std::string{branch}, {{"S", seq}}),
                      ended.metric("reads_expected_" + std::string{branch}, {{"S", seq}}));
        }
    }
}

TEST_F(DecodeBench, WritesOneCsvRowForEachLength) {
    const Ended ended = run(kSmall);
    std::istringstream csv{text_of("decode.csv")};
    std::string line;
    std::getline(csv, line);
    EXPECT_THAT(line,
                StartsWith("S,ms_total,ms_cmp,ms_sel,ms_win,ms_rest,reads_actual,reads_expected,samples,"));
    for (const char* seq : {"1,", "40,", "100,"}) {
        std::getline(csv, line);
        EXPECT_THAT(line, StartsWith(seq));
    }
    EXPECT_THAT(line, HasSubstr(",68,68,25,"));
    EXPECT_FALSE(std::getline(csv, line));
    EXPECT_THAT(ended.out, HasSubstr("S=100: ms_total"));
}

TEST_F(DecodeBench, AForcedGateIsStatedAndChangesNoRead) {
    const Ended ended = run(kSmall, {{"NSA_FORCE_BRANCH", "win"}});
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_EQ(ended.fact("forced_branch"), "sliding");
    EXPECT_EQ(ended.metric("reads_actual_total", {{"S", "100"}}), 68);
}

TEST_F(DecodeBench, IsSkippedWithoutTheDeviceItWasAskedFor) {
    const Ended ended = run({"decode-bench", "--device", "cuda"});
    EXPECT_EQ(ended.exit_code, 77);
    EXPECT_THAT(ended.skip().value_or(""), HasSubstr("no CUDA device"));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "decode.csv"));
}

TEST_F(DecodeBench, AttentionAloneAndRouteCudaAreSkippedWithoutADevice) {
    for (const std::vector<std::string>& flags :
         {std::vector<std::string>{"--scope", "attention", "--dtype", "bf16", "--dk", "128", "--dv", "128"},
          std::vector<std::string>{"--route", "cuda"}}) {
        std::vector<std::string> args{"decode-bench"};
        args.insert(args.end(), flags.begin(), flags.end());
        const Ended ended = run(args);
        EXPECT_EQ(ended.exit_code, 77) << ended.err;
        EXPECT_THAT(ended.skip().value_or(""), HasSubstr("route cuda"));
        EXPECT_FALSE(std::filesystem::exists(folder_ / "decode.csv"));
    }
}

}  // namespace
}  // namespace nsa::core
