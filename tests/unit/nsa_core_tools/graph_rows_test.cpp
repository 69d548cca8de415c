#include "nsa_core/bench/graph_rows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace nsa::core::bench {
namespace {

using ::testing::AllOf;
using ::testing::DoubleNear;
using ::testing::HasSubstr;
using ::testing::Not;

NsaConfig paper_config() {
    NsaConfig config;
    config.heads = 64;
    config.groups = 4;
    config.dk = config.dv = 128;
    return config;
}

// The table of gpu-peers counts keys and values alone; queries, outputs and new rows add less than a percent.
TEST(StepFloor, CountsTheBytesOfEveryKeyAndValueOnce) {
    const double keys = (4095 + 1024 + 512) * 256.0 * 2 * 4 * 32;
    EXPECT_THAT(step_work(paper_config(), 32, 65536, 2).bytes, DoubleNear(keys, 0.01 * keys));
    EXPECT_GT(step_work(paper_config(), 32, 65536, 2).bytes, keys);
    EXPECT_EQ(step_work(paper_config(), 32, 65536, 2).flops, 2 * (4095 + 1024 + 512) * 256.0 * 64 * 32);
}

TEST(StepFloor, IsTheLargerOfBothTimes) {
    const Floor floor = floor_of({.bytes = 4e9, .flops = 1e12}, {.bytes_per_s = 4e12, .flops_per_s = 500e12});
    EXPECT_DOUBLE_EQ(floor.bytes_ms, 1.0);
    EXPECT_DOUBLE_EQ(floor.flops_ms, 2.0);
    EXPECT_DOUBLE_EQ(floor.ms(), 2.0);
    EXPECT_DOUBLE_EQ(floor.percent(4.0), 50.0);
}

GraphResult result_of() {
    return {.seq = 8192,
            .batch = 2,
            .series = {{"ms_total", {0.10, 0.12, 0.11}},
                       {"ms_step", {0.08, 0.08, 0.08}},
                       {"ms_rest", {0.004, 0.004, 0.004}},
                       {"ms_cmp", {0.03, 0.03, 0.03}},
                       {"ms_sel", {0.05, 0.05, 0.05}},
                       {"ms_win", {0.04, 0.04, 0.04}},
                       {"ms_cudnn", {0.22, 0.22, 0.22}}},
            .states = {{.sm_clock_mhz = 1980}, {.sm_clock_mhz = 1755, .throttle_reasons = 0x4}},
            .work = {.bytes = 4e8, .flops = 1e9},
            .actual = {.cmp = 1, .sel = 2, .win = 3},
            .expected = {.cmp = 1, .sel = 2, .win = 3},
            .plan = "splits 4",
            .not_there = {{"fa2", "no kernel"}}};
}

constexpr Ceilings kCeilings{.bytes_per_s = 4e12, .flops_per_s = 500e12};

TEST(GraphRows, SayWhatFollowsFromTheMedians) {
    const auto row = summarise(result_of(), kCeilings).numbers;
    EXPECT_DOUBLE_EQ(row.at("ms_total"), 0.11);
    EXPECT_DOUBLE_EQ(row.at("ms_total_low"), 0.10);
    EXPECT_NEAR(row.at("ms_residual"), 0.11 - 0.12 - 0.004, 1e-12);  // the kernels overlap
    EXPECT_NEAR(row.at("percent_of_floor"), 100 * 0.1 / 0.11, 1e-9);
    EXPECT_NEAR(row.at("percent_of_floor_step"), 125, 1e-9);
    EXPECT_NEAR(row.at("speedup_vs_cudnn"), 2, 1e-9);
    EXPECT_FALSE(row.contains("speedup_vs_fa2"));
    EXPECT_EQ(row.at("throttled_samples"), 1);
    EXPECT_EQ(row.at("sm_clock_mhz_min"), 1755);
}

TEST(GraphRows, WithoutPartsThereIsNoResidual) {
    GraphResult whole = result_of();
    whole.series.erase("ms_sel");
    whole.series.erase("ms_step");
    whole.states.clear();
    const auto row = summarise(whole, kCeilings).numbers;
    EXPECT_FALSE(row.contains("ms_residual"));
    EXPECT_FALSE(row.contains("percent_of_floor_step"));
    EXPECT_FALSE(row.contains("throttled_samples"));
}

// Twelve samples at full speed, single and in a row.
GraphResult steady() {
    GraphResult result = result_of();
    result.max_sm_clock_mhz = 1980;
    for (auto& [name, samples] : result.series)
        samples.assign(12, samples.front());
    result.states.assign(12, {.sm_clock_mhz = 1980});
    result.step_states = result.states;
    return result;
}

TEST(GraphRows, AreValidWhenBothSingleReplaysAndThoseInARowAre) {
    EXPECT_EQ(summarise(steady(), kCeilings).validity.validity, Validity::kValid);
    GraphResult hot = steady();
    hot.step_states[3].throttle_reasons = 0x40;  // the hardware's slowdown for heat
    const RowValidity in_a_row = summarise(hot, kCeilings).validity;
    EXPECT_EQ(in_a_row.validity, Validity::kInvalid);
    EXPECT_EQ(in_a_row.reason(), "in a row: hardware slowdown, heat or power brake");
    GraphResult slow = steady();
    for (tools::GpuState& state : slow.states)
        state.sm_clock_mhz = 1800;
    EXPECT_EQ(summarise(slow, kCeilings).validity.reason(), "median clock at 91 % of the highest");
    slow.step_states[3].throttle_reasons = 0x40;
    EXPECT_EQ(summarise(slow, kCeilings).validity.reason(), in_a_row.reason()) << "the worse of the two";
    GraphResult blind = steady();
    blind.states.clear();
    blind.step_states.clear();
    blind.why_no_monitor = "no NVML";
    EXPECT_EQ(summarise(blind, kCeilings).validity.reason(),
              "clocks are not known: no NVML; in a row: clocks are not known: no NVML");
    GraphResult few = steady();
    few.series.erase("ms_step");
    few.series["ms_total"].resize(5);
    EXPECT_EQ(summarise(few, kCeilings).validity.validity, Validity::kDegraded);
}

std::string text_of(const std::filesystem::path& path) {
    std::stringstream text;
    text << std::ifstream{path}.rdbuf();
    return text.str();
}

TEST(GraphRows, AreWrittenAsCsvJsonAndRecords) {
    const std::string pattern = testing::TempDir() + "graph_rows_XXXXXX";
    std::string folder_name = pattern;
    ASSERT_NE(mkdtemp(folder_name.data()), nullptr);
    const std::filesystem::path folder{folder_name};
    {
        tools::Output output{.results = tools::ResultsWriter{folder / "results.jsonl"}, .artifacts = folder};
        GraphReport report{output};
        report.add(result_of(), summarise(result_of(), kCeilings));
        report.finish();
    }
    const std::string csv = text_of(folder / "decode.csv");
    EXPECT_THAT(csv,
                AllOf(HasSubstr("S,batch,ms_total,ms_total_low"), HasSubstr("\n8192,2,0.11,0.1,0.12,0.08,")));
    EXPECT_THAT(csv, HasSubstr(",400000000,"));
    EXPECT_THAT(text_of(folder / "decode.json"),
                AllOf(HasSubstr("[{\"S\": 8192"), HasSubstr("\"speedup_vs_cudnn\": "),
                      HasSubstr("\"validity\": \"DEGRADED\""), HasSubstr("}]\n")));
    EXPECT_THAT(
        text_of(folder / "results.jsonl"),
        AllOf(HasSubstr(R"({"metric":"ms_total","value":0.12)"), HasSubstr(R"("metric":"percent_of_floor")"),
              HasSubstr(R"({"fact":"no_fa2","value":"no kernel")"),
              HasSubstr(R"("metric":"degraded","value":1)"),
              HasSubstr(R"({"fact":"validity","value":"DEGRADED")"),
              HasSubstr(R"("metric":"throttle_reasons","value":4)"), Not(HasSubstr("speedup_vs_fa2"))));
    std::filesystem::remove_all(folder);
}

TEST(GpuThrottle, IsWhatSlowsTheChipDown) {
    EXPECT_FALSE(tools::is_throttled(0));
    EXPECT_FALSE(tools::is_throttled(0x1));  // idle
    EXPECT_FALSE(tools::is_throttled(0x2));  // clocks that somebody set
    for (const std::uint64_t bit : {0x4, 0x8, 0x20, 0x40, 0x80})
        EXPECT_TRUE(tools::is_throttled(bit | 0x1));
}

}  // namespace
}  // namespace nsa::core::bench
