#include <gmock/gmock.h>

#include "language/judge.hpp"
#include "language/kind.hpp"
#include "language/plan.hpp"
#include "planned_step.hpp"

namespace nsa::language {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

Check threshold(const char* metric, Level level = Level::kGate) {
    return {"", ThresholdCheck{metric, Op::kLessEqual, 2e-4, "", Aggregate::kMedian, 0}, level, "spec"};
}

std::vector<std::string> ids_of(const PlannedCase& planned_case) {
    std::vector<std::string> ids;
    for (const Check& check : planned_case.checks)
        ids.push_back(check.id);
    return ids;
}

Step parity() {
    Step step;
    step.kind = "parity";
    step.params = {{"branch", text("sliding")}};
    step.checks = {threshold("mae")};
    return step;
}

Step of_kind(const char* kind) {
    Step step;
    step.kind = kind;
    return step;
}

TEST(RegistryTest, KindsAreSortedFoundByNameAndDocumented) {
    std::vector<std::string_view> names;
    for (const StepKind* kind : step_kinds()) {
        names.push_back(kind->name());
        EXPECT_EQ(find_step_kind(kind->name()), kind);
        EXPECT_FALSE(kind->help().empty());
        for (const ParamSchema& param : kind->params())
            EXPECT_FALSE(param.help.empty()) << param.name;
    }
    EXPECT_THAT(names, ElementsAre("command", "decode_bench", "env_check", "gate_health", "memory_scaling",
                                   "needle", "parity", "prefill_bench", "train_smoke"));
    EXPECT_EQ(find_step_kind("paritee"), nullptr);
}

TEST(ParityTest, SpellsOutEveryParameterOnTheCommandLine) {
    Step step = parity();
    step.params["l_sel"] = number(16);
    step.params["route"] = text("fa2_dense");
    const PlannedCase result = planned(step);
    EXPECT_THAT(
        result.argv,
        ElementsAre("nsa-core", "parity", "--branch", "sliding", "--route", "fa2_dense", "--device", "auto",
                    "--dtype", "fp32", "--batch", "2", "--seq", "64", "--heads", "4", "--groups", "2", "--dk",
                    "64", "--dv", "64", "--l", "32", "--d", "16", "--l-sel", "16", "--n", "16", "--w", "32",
                    "--compressor", "mean", "--phi-hidden", "64", "--seed", "0", "--trials", "1",
                    "--gradients", "off", "--page", "64", "--data", "normal"));
    EXPECT_EQ(result.route_asked, "fa2_dense");
    EXPECT_TRUE(result.skip_exit_code);
    EXPECT_FALSE(result.exit_code_is_verdict);
    EXPECT_THAT(result.artifacts, ElementsAre("*.csv", "*.json"));
}

TEST(ParityTest, ExpectsOneSamplePerTrial) {
    Step step = parity();
    step.params["trials"] = number(3);
    EXPECT_THAT(planned(step).expected, Contains(Expectation{"mae", 1, 3}));
}

TEST(ParityTest, WithoutABoundThereIsNothingToPass) {
    Step step = parity();
    step.checks = {threshold("mae", Level::kInfo)};
    EXPECT_THAT(error_of(step), HasSubstr("a parity step needs a gate that bounds its error"));
}

TEST(ParityTest, ParamsAreCheckedAgainstTheirSchema) {
    Step step = parity();
    step.params["brnach"] = text("x");
    EXPECT_THAT(error_of(step), HasSubstr("unknown param 'brnach'"));
    EXPECT_THAT(error_of(step), HasSubstr("did you mean 'branch'?"));
    step = parity();
    step.params.erase("branch");
    EXPECT_EQ(error_of(step), "step 's': param 'branch' is missing: what is tested");
    step = parity();
    step.params["branch"] = text("slidng");
    EXPECT_THAT(error_of(step), HasSubstr("found 'slidng'; did you mean 'sliding'?"));
    step = parity();
    step.params["batch"] = number(-1);
    EXPECT_THAT(error_of(step),
                HasSubstr("param 'batch': expected a whole number from 1 to 1048576, found '-1'"));
    step = parity();
    step.params["batch"] = std::vector<Scalar>{number(1)};
    EXPECT_THAT(error_of(step), HasSubstr("expected one value, not a list, found '1'"));
}

TEST(DecodeBenchTest, ExpectsEveryLengthBranchAndSample) {
    Step step = of_kind("decode_bench");
    step.params = {{"seq", std::vector<Scalar>{number(512), number(1024)}}, {"samples", number(20)}};
    const PlannedCase result = planned(step);
    EXPECT_THAT(result.expected, IsSupersetOf({Expectation{"ms_total", 2, 20}, Expectation{"ms_rest", 2, 20},
                                               Expectation{"reads_actual_win", 2, 1},
                                               Expectation{"reads_expected_win", 2, 1}}));
    EXPECT_THAT(
        ids_of(result),
        IsSupersetOf({"finite ms_total, ms_cmp, ms_sel, ms_win, ms_rest", "samples of ms_total >= 10",
                      "ms_total = ms_cmp + ms_sel + ms_win + ms_rest (tolerance 15%)",
                      "reads_actual_total = reads_expected_total", "reads_actual_cmp = reads_expected_cmp",
                      "reads_actual_sel = reads_expected_sel", "reads_actual_win = reads_expected_win"}));
}

TEST(ParityTest, ADecodeStepMustBeFreeOfEveryFaultThatIsCounted) {
    Step step = parity();
    step.params["branch"] = text("decode_step");
    step.params["route"] = text("cuda");
    const PlannedCase result = planned(step);
    EXPECT_EQ(result.route_asked, "cuda");
    EXPECT_THAT(result.expected,
                IsSupersetOf({Expectation{"bound_ratio", 1, 1}, Expectation{"canary_hits", 1, 1}}));
    EXPECT_THAT(ids_of(result), IsSupersetOf({"max(selection_faults) == 0", "max(reads_mismatches) == 0",
                                              "max(cache_faults) == 0", "max(rerun_differences) == 0"}));
    EXPECT_THAT(ids_of(planned(parity())), Not(Contains("max(canary_hits) == 0")));
}

TEST(DecodeBenchTest, AttentionIsJudgedByItsReadsAndKnowsItsFloor) {
    Step step = of_kind("decode_bench");
    step.params = {{"scope", text("attention")}, {"seq", text("512,1024")}};
    const PlannedCase result = planned(step);
    EXPECT_EQ(result.route_asked, "cuda");
    EXPECT_THAT(result.expected,
                IsSupersetOf({Expectation{"ms_cmp", 2, 50}, Expectation{"percent_of_floor", 2, 1}}));
    EXPECT_THAT(ids_of(result), Contains("reads_actual_sel = reads_expected_sel"));
    for (const Check& check : result.checks) {
        if (std::holds_alternative<IdentityCheck>(check.rule) && check.id.starts_with("ms_total")) {
            EXPECT_EQ(check.level, Level::kInfo)
                << "branches of overlapping kernels add up to more than the step";
        }
    }
}

TEST(DecodeBenchTest, TheLayerAsOneKernelHasNoParts) {
    Step step = of_kind("decode_bench");
    step.params = {{"route", text("cuda")}};
    const PlannedCase result = planned(step);
    EXPECT_THAT(result.expected, Not(Contains(Expectation{"ms_cmp", 3, 50})));
    EXPECT_THAT(ids_of(result), Contains("finite ms_total, ms_rest"));
    EXPECT_THAT(planned(of_kind("decode_bench")).route_asked, testing::IsEmpty());
}

TEST(DecodeBenchTest, LengthsAlsoComeAsOneText) {
    Step step = of_kind("decode_bench");
    step.params = {{"seq", text("64,128")}};
    EXPECT_THAT(planned(step).argv, Contains("64,128"));
    step.params = {{"seq", text("64,x")}};
    EXPECT_THAT(
        error_of(step),
        HasSubstr("expected a list of whole numbers from 1 to 1048576, like [512,1024,2048], found '64,x'"));
}

TEST(DefaultCheckTest, TheAuthorsCheckOfTheSameRuleAndMetricStandsAlone) {
    Step step = of_kind("decode_bench");
    step.checks = {
        {"", IdentityCheck{"reads_actual_total", {"reads_expected_total"}, 0.5}, Level::kInfo, "spec"},
        {"", FiniteCheck{{"ms_total", "ms_rest"}}, Level::kWarn, "spec"},
        {"", MinSamplesCheck{"ms_total", 3}, Level::kGate, "spec"}};
    const std::vector<std::string> ids = ids_of(planned(step));
    EXPECT_THAT(ids, Not(Contains("reads_actual_total = reads_expected_total")));
    EXPECT_THAT(ids, Contains("reads_actual_total = reads_expected_total (tolerance 50%)"));
    EXPECT_THAT(ids, Contains("finite ms_cmp, ms_sel, ms_win"));
    EXPECT_THAT(ids, Contains("samples of ms_total >= 3"));
    EXPECT_THAT(ids, Not(Contains("samples of ms_total >= 10")));
    EXPECT_THAT(ids, Contains("reads_actual_win = reads_expected_win"));
}

TEST(TrainSmokeTest, ExpectsEveryStepAndAFiniteLoss) {
    Step step = of_kind("train_smoke");
    step.params = {{"steps", number(7)}};
    const PlannedCase result = planned(step);
    EXPECT_THAT(result.expected, IsSupersetOf({Expectation{"loss", 1, 7}, Expectation{"grad_norm", 1, 7},
                                               Expectation{"steps_done", 1, 1}}));
    EXPECT_THAT(result.quotas, ElementsAre(Quota{"steps_done", "steps_asked"}));
    EXPECT_THAT(ids_of(result), ElementsAre("finite loss", "grad_norm > 0", "max(gate_collapsed) == 0"));
}

std::vector<Record> training(int done, double loss, double gradient) {
    std::vector<Record> records;
    for (int i = 0; i < done; ++i) {
        records.emplace_back(Measurement{"loss", loss, "nat", {}, i});
        records.emplace_back(Measurement{"grad_norm", gradient, "1", {}, i});
        records.emplace_back(Measurement{"tokens_per_s", 100, "tok/s", {}, i});
        records.emplace_back(Measurement{"step_ms", 9, "ms", {}, i});
        records.emplace_back(Measurement{"gate_entropy", 0.9, "1", {}, i});
        records.emplace_back(Measurement{"gate_collapsed", 0, "1", {}, i});
        for (const char* branch : {"compressed", "selected", "sliding"})
            records.emplace_back(Measurement{"gate_mean", 0.5, "1", {{"branch", branch}}, i});
    }
    records.emplace_back(Measurement{"steps_done", static_cast<double>(done), "1", {}, 0});
    records.emplace_back(Measurement{"steps_asked", 10, "1", {}, 0});
    return records;
}

CaseJudgement judged(const Step& step, std::vector<Record> records, int exit_code = 0) {
    CaseOutcome outcome;
    outcome.end = ProcessEnd{EndKind::kExited, exit_code, 0, false, ""};
    outcome.records = std::move(records);
    return judge(planned(step), outcome, "2026-11-23");
}

TEST(TrainSmokeTest, IsJudgedOnLossGradientAndStepsDone) {
    const Step step = of_kind("train_smoke");
    EXPECT_EQ(judged(step, training(10, 2.5, 1)).verdict, Verdict::kPass);
    EXPECT_FALSE(judged(step, training(10, 2.5, 1)).short_of_asked);
    EXPECT_TRUE(judged(step, training(9, 2.5, 1)).short_of_asked);
    EXPECT_EQ(judged(step, training(10, HUGE_VAL, 1)).verdict, Verdict::kFail);
    EXPECT_EQ(judged(step, training(10, 2.5, 0)).verdict, Verdict::kFail);
    EXPECT_EQ(judged(step, training(0, 2.5, 1)).verdict, Verdict::kError);
    EXPECT_EQ(judged(step, training(3, HUGE_VAL, 1), 1).verdict, Verdict::kFail);
}

TEST(CommandTest, TakesAnyProgramAndItsExitCode) {
    Step step = of_kind("command");
    step.run = {"sh", "-c", "exit 0"};
    const PlannedCase result = planned(step);
    EXPECT_EQ(result.argv, step.run);
    EXPECT_TRUE(result.exit_code_is_verdict);
    EXPECT_TRUE(result.checks.empty());
    step.run.clear();
    EXPECT_EQ(error_of(step), "step 's': a command step needs 'run', a list of program and arguments");
    step = parity();
    step.run = {"x"};
    EXPECT_EQ(error_of(step), "step 's': 'run' belongs to kind command");
}

std::vector<Record> tests(double passed, double failed, double skipped) {
    return {Measurement{"tests_total", passed + failed + skipped, "1", {}, 0},
            Measurement{"tests_passed", passed, "1", {}, 0}, Measurement{"tests_failed", failed, "1", {}, 0},
            Measurement{"tests_errors", 0, "1", {}, 0}, Measurement{"tests_skipped", skipped, "1", {}, 0}};
}

TEST(CommandTest, AJunitReportMustShowAPassAndNoFailure) {
    Step step = of_kind("command");
    step.run = {"pytest"};
    step.metrics = {{ParserKind::kJunit, "junit.xml", "", "", "", {}, {}, {}}};
    EXPECT_EQ(judged(step, tests(3, 0, 0)).verdict, Verdict::kPass);
    EXPECT_FALSE(judged(step, tests(3, 0, 0)).short_of_asked);
    EXPECT_EQ(judged(step, tests(3, 1, 0)).verdict, Verdict::kFail);
    EXPECT_EQ(judged(step, tests(0, 0, 0)).verdict, Verdict::kFail);
    EXPECT_EQ(judged(step, {}).verdict, Verdict::kError);
    EXPECT_TRUE(judged(step, tests(3, 0, 1)).short_of_asked) << "a skipped test is no pass";
}

TEST(EnvCheckTest, RequiresWhatItsParamsSay) {
    Step step = of_kind("env_check");
    EXPECT_THAT(ids_of(planned(step)), ElementsAre("torch_version is present"));
    EXPECT_THAT(planned(step).argv, ElementsAre("nsa-core", "probe"));
    step.params = {{"torch_min", text("2.6")},  {"cuda_min", text("12.1")},
                   {"driver_min", text("525")}, {"gpu", text("required")},
                   {"gpu_sm_min", number(80)},  {"gpu_memory_gib_min", number(40)}};
    EXPECT_THAT(ids_of(planned(step)),
                ElementsAre("torch_version >= 2.6", "cuda_version >= 12.1", "driver >= 525",
                            "gpu_name is present", "gpu_sm >= 80", "gpu_memory_bytes >= 42949672960"));
    step.params = {{"torch_min", text("new")}};
    EXPECT_EQ(error_of(step), "step 's': param 'torch_min': expected a version like '12.1', found 'new'");
    step.params = {{"gpu_memory_gib_min", number(INT64_C(1) << 40)}};
    EXPECT_THAT(error_of(step), HasSubstr("more than any GPU has"));
}

TEST(EnvCheckTest, FailsWhereTheHostHasNoGpu) {
    Step step = of_kind("env_check");
    step.params = {{"gpu", text("required")}};
    const CaseJudgement judgement =
        judged(step, {Fact{"torch_version", "2.6.0", {}}, Fact{"gpu_count", "0", {}}});
    EXPECT_EQ(judgement.verdict, Verdict::kFail);
    EXPECT_EQ(judgement.reason, "this host has no gpu_name");
}

}  // namespace
}  // namespace nsa::language
