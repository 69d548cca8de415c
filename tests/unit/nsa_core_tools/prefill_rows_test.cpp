#include "nsa_core/bench/prefill_rows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

namespace nsa::core::bench {
namespace {

using ::testing::AllOf;
using ::testing::DoubleEq;
using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr Ceilings kCeilings{.bytes_per_s = 1e12, .flops_per_s = 1e14};
constexpr unsigned kTopClock = 1980;
const std::vector<double> kCalm(6, 1.0);  // milliseconds
constexpr std::uint64_t kPowerCapBit = 0x4;
constexpr std::uint64_t kHardwareSlowdownBit = 0x8;
constexpr std::uint64_t kSoftwareHeatBit = 0x20;

PrefillTimes times() {
    PrefillTimes t{.shape = {.seq = 256}};
    t.series = {{"ms_total", {10, 10.1, 9.9, 10, 10, 10}},
                {"ms_compress", {1, 1, 1, 1, 1, 1}},
                {"ms_cmp", {2, 2, 2, 2, 2, 2}},
                {"ms_select", {1, 1, 1, 1, 1, 1}},
                {"ms_sel", {3, 3.1, 2.9, 3, 3, 3}},
                {"ms_win", {2, 2, 2, 2, 2, 2}},
                {"ms_combine", {1, 1.05, 0.95, 1.1, 1, 1}},
                {"ms_sdpa", {20, 20, 20, 20, 20, 20}}};
    t.unique_blocks = {{8, 0.5}};
    t.peak_memory_bytes = 1e6;
    return t;
}

TEST(PrefillRow, PartsMeetTheTotalWhenTheirIntervalsDo) {
    const PrefillRow row = summarise(times(), kCeilings);
    EXPECT_THAT(row.numbers.at("ms_parts"), DoubleNear(10.05, 0.06));
    EXPECT_EQ(row.numbers.at("parts_gap_percent"), 0);
    EXPECT_THAT(row.numbers.at("ms_residual"), DoubleNear(-0.05, 0.06));
}

TEST(PrefillRow, SaysHowFarThePartsAreFromTheTotal) {
    PrefillTimes t = times();
    for (double& ms : t.series["ms_win"])
        ms = 4;  // the parts sum to 11.85 at least, the total is 10.1 at most
    EXPECT_THAT(summarise(t, kCeilings).numbers.at("parts_gap_percent"), DoubleNear(17.5, 0.1));
    for (double& ms : t.series["ms_win"])
        ms = 0;
    EXPECT_GT(summarise(t, kCeilings).numbers.at("parts_gap_percent"), 15);
}

// A part that lacks a sample must not make the sum look smaller.
TEST(PrefillRow, HasNoSumWhenAPartLacksASample) {
    PrefillTimes t = times();
    t.series["ms_win"].pop_back();
    EXPECT_THAT(summarise(t, kCeilings).numbers, Not(testing::Contains(testing::Key("ms_parts"))));
}

TEST(PrefillRow, PutsAFloorBesideTheWholeAndEveryPart) {
    const PrefillTimes t = times();
    const PrefillRow row = summarise(t, kCeilings);
    const Floor whole = floor_of(prefill_work(t.pass, t.shape), kCeilings);
    EXPECT_THAT(row.numbers.at("ms_floor"), DoubleEq(whole.ms()));
    EXPECT_THAT(row.numbers.at("percent_of_floor"), DoubleEq(100 * whole.ms() / 10));
    const Floor sliding = floor_of(part_work(PrefillPart::kSliding, t.pass, t.shape), kCeilings);
    EXPECT_THAT(row.numbers.at("percent_of_floor_win"), DoubleEq(100 * sliding.ms() / 2));
    EXPECT_EQ(row.numbers.at("speedup_vs_sdpa"), 2);
    EXPECT_EQ(row.numbers.at("unique_blocks_8"), 0.5);
}

tools::GpuState at_clock(unsigned mhz, std::uint64_t reasons = 0) {
    return {.sm_clock_mhz = mhz, .throttle_reasons = reasons};
}

RowValidity judged(const std::vector<tools::GpuState>& states, const std::vector<double>& ms = kCalm) {
    return judge_row({.gpu = true, .max_sm_clock_mhz = kTopClock, .states = states, .samples_ms = ms});
}

TEST(RowValidity, ACalmRowAtFullClocksIsValid) {
    const RowValidity row = judged({4, at_clock(1965)});
    EXPECT_EQ(row.validity, Validity::kValid);
    EXPECT_THAT(row.reasons, IsEmpty());
}

TEST(RowValidity, HardwareThrottlingOfOneSampleMakesItInvalid) {
    std::vector<tools::GpuState> states(4, at_clock(1980));
    states[2].throttle_reasons = kHardwareSlowdownBit;
    EXPECT_EQ(judged(states).validity, Validity::kInvalid);
    EXPECT_THAT(judged(states).reasons, ElementsAre(HasSubstr("hardware slowdown")));
}

TEST(RowValidity, SlowSamplesMakeItInvalidUnlessThePowerCapExplainsThem) {
    EXPECT_EQ(judged({4, at_clock(1300)}).validity, Validity::kInvalid);
    EXPECT_EQ(judged({4, at_clock(1300, kPowerCapBit)}).validity, Validity::kValid);
}

TEST(RowValidity, HeatAndAClockBelowTheHighestDegradeIt) {
    EXPECT_EQ(judged({4, at_clock(1980, kSoftwareHeatBit)}).validity, Validity::kDegraded);
    const RowValidity slow = judged({4, at_clock(1900)});
    EXPECT_EQ(slow.validity, Validity::kDegraded);
    EXPECT_THAT(slow.reasons, ElementsAre("median clock at 96 % of the highest"));
}

TEST(RowValidity, WithoutClocksARowOfAGpuIsDegradedAndOneOfACpuIsNot) {
    const std::vector<double> ms = kCalm;
    const RowValidity gpu = judge_row({.gpu = true, .why_no_monitor = "no NVML", .samples_ms = ms});
    EXPECT_EQ(gpu.validity, Validity::kDegraded);
    EXPECT_THAT(gpu.reasons, ElementsAre("clocks are not known: no NVML"));
    EXPECT_EQ(judge_row({.samples_ms = ms}).validity, Validity::kValid);
}

TEST(RowValidity, FewerSamplesThanAnIntervalTakesDegradeIt) {
    EXPECT_EQ(judged({5, at_clock(1980)}, {1, 1, 1, 1, 1}).validity, Validity::kDegraded);
    EXPECT_EQ(judged({6, at_clock(1980)}).validity, Validity::kValid);
}

TEST(RowValidity, SamplesThatScatterDegradeItAndNonsenseOrNothingIsInvalid) {
    EXPECT_EQ(judged({4, at_clock(1980)}, {1, 1.5, 1, 2, 1, 2}).validity, Validity::kDegraded);
    EXPECT_EQ(judged({4, at_clock(1980)}, {1, std::numeric_limits<double>::quiet_NaN()}).validity,
              Validity::kInvalid);
    EXPECT_EQ(judged({4, at_clock(1980)}, {1, -1}).validity, Validity::kInvalid);
    EXPECT_EQ(judged({}, {}).validity, Validity::kInvalid);
}

class PrefillReportTest : public testing::Test {
  protected:
    PrefillReportTest() {
        std::filesystem::create_directories(folder_);
        std::filesystem::remove(folder_ / "results.jsonl");
    }
    ~PrefillReportTest() override { std::filesystem::remove_all(folder_); }
    [[nodiscard]] std::string text_of(const char* file) const {
        std::ifstream in{folder_ / file};
        std::stringstream text;
        text << in.rdbuf();
        return text.str();
    }
    std::filesystem::path folder_ =
        std::filesystem::path{testing::TempDir()} /
        (std::string{"prefill_report_"} + testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(PrefillReportTest, WritesSamplesFactsCsvAndJsonOfARow) {
    tools::Output output{.results = tools::ResultsWriter{folder_ / "results.jsonl"}, .artifacts = folder_};
    PrefillReport report{output};
    PrefillTimes t = times();
    t.not_there = {{"fa2", "no GPU"}};
    report.add(t, summarise(t, kCeilings));
    report.finish();
    const std::string results = text_of("results.jsonl");
    EXPECT_THAT(results, AllOf(HasSubstr(R"({"metric":"ms_total","value":9.9000000000000004,"unit":"ms",)"
                                         R"("labels":{"S":"256","pass":"forward"},"sample":2})"),
                               HasSubstr(R"({"metric":"invalid","value":0,)"),
                               HasSubstr(R"("fact":"validity","value":"VALID")"),
                               HasSubstr(R"("fact":"no_fa2","value":"unavailable: no GPU")")));
    EXPECT_THAT(
        text_of("prefill.csv"),
        AllOf(StartsWith("pass,validity,validity_reason,S,batch,ms_total,ms_total_low,ms_total_high,"),
              HasSubstr("\nforward,VALID,,256,1,10,")));
    EXPECT_THAT(text_of("prefill.json"), AllOf(StartsWith(R"([{"pass": "forward", "validity": "VALID")"),
                                               HasSubstr(R"("ms_sel": 3,)")));
}

}  // namespace
}  // namespace nsa::core::bench
