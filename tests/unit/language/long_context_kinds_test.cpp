// Step kinds of whole and long sequences: prefill_bench and needle.
#include <gmock/gmock.h>

#include <algorithm>

#include "language/judge.hpp"
#include "language/kind.hpp"
#include "language/plan.hpp"

namespace nsa::language {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

Scalar text(const char* value) {
    return std::string(value);
}
Scalar number(std::int64_t value) {
    return value;
}
ParamValue numbers(std::initializer_list<std::int64_t> values) {
    std::vector<Scalar> list;
    for (const std::int64_t value : values)
        list.emplace_back(value);
    return list;
}

Result<Plan> plan_of(const char* kind, Params params, std::vector<Check> checks) {
    Step step;
    step.id = "s";
    step.kind = kind;
    step.params = std::move(params);
    step.checks = std::move(checks);
    ExperimentSpec spec;
    spec.name = "x";
    spec.steps = {std::move(step)};
    return make_plan(spec, "");
}

PlannedCase planned(const char* kind, Params params = {}, std::vector<Check> checks = {}) {
    Result<Plan> plan = plan_of(kind, std::move(params), std::move(checks));
    EXPECT_TRUE(plan) << plan.error().describe();
    return plan ? plan->cases[0] : PlannedCase{};
}

std::string error_of(const char* kind, Params params) {
    const Result<Plan> plan = plan_of(kind, std::move(params), {});
    return plan ? "no error" : plan.error().describe();
}

std::optional<Level> level_of(const PlannedCase& one, const std::string& id) {
    const auto found = std::find_if(one.checks.begin(), one.checks.end(),
                                    [&](const Check& check) { return check.id == id; });
    return found == one.checks.end() ? std::nullopt : std::optional(found->level);
}

Verdict verdict_of(const PlannedCase& one, std::vector<Record> records) {
    CaseOutcome outcome;
    outcome.end = ProcessEnd{EndKind::kExited, 0, 0, false, ""};
    outcome.records = std::move(records);
    return judge(one, outcome, "2026-11-29").verdict;
}

TEST(PrefillBenchTest, RunsNsaCoreWithEveryParameter) {
    const PlannedCase one =
        planned("prefill_bench", {{"l_sel", number(32)}, {"queries", text("correlated")}});
    EXPECT_EQ(one.argv[0], "nsa-core");
    EXPECT_EQ(one.argv[1], "prefill-bench");
    std::string line;
    for (const std::string& word : one.argv)
        line += word + " ";
    for (const char* pair : {"--l-sel 32 ", "--queries correlated ", "--pass all ", "--scope attention ",
                             "--seq 512,1024 ", "--peers on "})
        EXPECT_THAT(line, HasSubstr(pair));
    EXPECT_TRUE(one.skip_exit_code);
}

TEST(PrefillBenchTest, ExpectsEveryLengthPassPartAndSample) {
    const PlannedCase all = planned("prefill_bench", {{"seq", numbers({64, 128})}, {"samples", number(7)}});
    EXPECT_THAT(all.expected,
                IsSupersetOf({Expectation{"ms_total", 6, 7}, Expectation{"ms_cmp", 6, 7},
                              Expectation{"ms_select", 4, 7}, Expectation{"percent_of_floor", 6, 1},
                              Expectation{"parts_error", 2, 1}, Expectation{"peak_memory_bytes", 6, 1}}));
    EXPECT_THAT(all.expected, Not(Contains(testing::Field(&Expectation::metric, "ms_project"))));
    const PlannedCase backward = planned(
        "prefill_bench", {{"pass", text("backward")}, {"scope", text("module")}, {"seq", numbers({64})}});
    EXPECT_THAT(backward.expected, Contains(Expectation{"ms_project", 1, 20}));
    EXPECT_THAT(backward.expected, Not(Contains(testing::Field(&Expectation::metric, "ms_select"))));
}

TEST(PrefillBenchTest, AnInvalidRowIsAGateAndADegradedOneAWarning) {
    const PlannedCase one = planned("prefill_bench");
    EXPECT_EQ(level_of(one, "invalid == 0"), Level::kGate);
    EXPECT_EQ(level_of(one, "parts_error <= 0.01"), Level::kGate);
    EXPECT_EQ(level_of(one, "degraded == 0"), Level::kWarn);
    EXPECT_EQ(level_of(one, "parts_gap_percent <= 5"), Level::kWarn);
}

TEST(PrefillBenchTest, TheAuthorsBoundReplacesTheDefault) {
    const Check strict{"", ThresholdCheck{"parts_gap_percent", Op::kLessEqual, 1, "", Aggregate::kMedian, 0},
                       Level::kGate, "spec"};
    const PlannedCase one = planned("prefill_bench", {}, {strict});
    EXPECT_EQ(level_of(one, "parts_gap_percent <= 1"), Level::kGate);
    EXPECT_EQ(level_of(one, "parts_gap_percent <= 5"), std::nullopt);
}

// Another route than the one asked for is an ERROR; FlashAttention-2 alone never has the selected branch.
TEST(PrefillBenchTest, TheRouteAskedForMustRunOnEveryBranchThatHasIt) {
    EXPECT_EQ(planned("prefill_bench", {{"route", text("cuda")}}).route_asked, "cuda");
    EXPECT_EQ(planned("prefill_bench", {{"route", text("fa2_dense")}}).route_asked, "");
}

TEST(PrefillBenchTest, WordsAreCorrected) {
    EXPECT_THAT(error_of("prefill_bench", {{"pass", text("bakward")}}),
                HasSubstr("did you mean 'backward'?"));
    EXPECT_THAT(error_of("prefill_bench", {{"sequence", number(1)}}), HasSubstr("unknown param 'sequence'"));
}

TEST(PrefillBenchTest, WithoutMeasurementsItIsAnError) {
    EXPECT_EQ(verdict_of(planned("prefill_bench"), {}), Verdict::kError);
}

TEST(NeedleTest, ExpectsARateForEveryLengthAndDepth) {
    const PlannedCase one =
        planned("needle", {{"seq", numbers({4096, 65536})}, {"depth", numbers({0, 50, 100})}});
    EXPECT_THAT(one.expected,
                IsSupersetOf({Expectation{"hit_rate", 6, 1}, Expectation{"accuracy", 6, 1},
                              Expectation{"chance_hit_rate", 6, 1}, Expectation{"value_error", 6, 4}}));
    EXPECT_EQ(level_of(one, "hit_rate >= 1"), Level::kGate);
    EXPECT_EQ(level_of(one, "accuracy >= 1"), Level::kGate);
    EXPECT_EQ(one.route_asked, "auto");
}

TEST(NeedleTest, TheAuthorsRateReplacesTheDefault) {
    const Check lower{"", ThresholdCheck{"hit_rate", Op::kGreaterEqual, 0.9, "", Aggregate::kMedian, 0},
                      Level::kGate, "spec"};
    const PlannedCase one = planned("needle", {}, {lower});
    EXPECT_EQ(level_of(one, "hit_rate >= 0.9"), Level::kGate);
    EXPECT_EQ(level_of(one, "hit_rate >= 1"), std::nullopt);
}

TEST(NeedleTest, ADecodeStepHasNoRouteSdpa) {
    EXPECT_THAT(error_of("needle", {{"route", text("sdpa")}}), HasSubstr("sdpa goes with mode prefill"));
    EXPECT_EQ(planned("needle", {{"route", text("sdpa")}, {"mode", text("prefill")}}).route_asked, "sdpa");
}

TEST(NeedleTest, AMissedNeedleFailsAndNoNeedleIsAnError) {
    const PlannedCase one = planned("needle", {{"depth", numbers({50})}, {"trials", number(1)}});
    EXPECT_EQ(verdict_of(one, {}), Verdict::kError);
    const Labels row{{"S", "4096"}, {"depth", "50"}};
    std::vector<Record> records;
    const auto measured = [&](const char* metric, double value) {
        records.emplace_back(Measurement{metric, value, "1", row, 0});
    };
    measured("hit_rate", 0.5);
    measured("accuracy", 1);
    measured("chance_hit_rate", 0.25);
    measured("value_error", 0.001);
    EXPECT_EQ(verdict_of(one, records), Verdict::kFail);
    std::get<Measurement>(records[0]).value = 1;
    EXPECT_EQ(verdict_of(one, records), Verdict::kPass);
}

}  // namespace
}  // namespace nsa::language
