// The experiments that ship with the program, and the reference that describes their language.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "language/environment.hpp"
#include "language/evaluate.hpp"
#include "language/kind.hpp"
#include "language/plan.hpp"
#include "language/yaml/keys.hpp"
#include "language/yaml/reader.hpp"

namespace nsa::language {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string file_text(const std::string& path) {
    std::ifstream file(std::string(NSA_SOURCE_DIR) + "/" + path, std::ios::binary);
    EXPECT_TRUE(file) << path;
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

Plan plan_of(const std::string& path) {
    const std::string text = file_text(path);
    const Result<ExperimentSpec> spec = parse_spec(text, path);
    EXPECT_TRUE(spec) << spec.error().describe();
    Result<Plan> plan = spec ? make_plan(*spec, text) : Result<Plan>(spec.error());
    return plan ? std::move(*plan) : Plan{};
}

const PlannedCase& case_of(const Plan& plan, std::string_view key) {
    for (const PlannedCase& planned : plan.cases) {
        if (planned.key.value == key) return planned;
    }
    ADD_FAILURE() << "no case " << key;
    static const PlannedCase kNone;
    return kNone;
}

bool has_gate(const PlannedCase& planned, const std::string& id) {
    for (const Check& check : planned.checks) {
        if (check.id == id) return check.level == Level::kGate;
    }
    return false;
}

TEST(ShippedExperimentsTest, AllOfThemPlan) {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(NSA_SOURCE_DIR "/experiments")) {
        if (entry.path().extension() != ".yaml") continue;
        ++count;
        EXPECT_THAT(plan_of("experiments/" + entry.path().filename().string()).cases,
                    testing::Not(IsEmpty()));
    }
    EXPECT_GE(count, 2);
}

TEST(Fa2RoutingTest, TestsTheRoutesOfTheSeedReportWithItsFlagsAndThreshold) {
    const Plan plan = plan_of("experiments/fa2_routing.yaml");
    EXPECT_THAT(plan.tools, ElementsAre("nsa-core"));
    using Env = std::map<std::string, std::string>;
    EXPECT_EQ(case_of(plan, "sliding_fa2_dense").env,
              (Env{{"NSA_TEST_FA2", "1"}, {"NSA_WIN_FORCE_DENSE", "1"}}));
    EXPECT_EQ(case_of(plan, "sliding_fa2_varlen").env,
              (Env{{"NSA_TEST_FA2", "1"}, {"NSA_FA2_FORCE_VARLEN", "1"}}));
    EXPECT_EQ(case_of(plan, "training_smoke").env,
              (Env{{"NSA_USE_FA2", "1"}, {"NSA_USE_FA2_WIN", "0"}, {"NSA_USE_FA2_CMP", "1"}}));
    for (const char* key : {"sliding_fa2_dense", "sliding_fa2_varlen", "compressed_fa2_varlen",
                            "compressed_fa2_dense", "sliding_sdpa", "compressed_sdpa"}) {
        const PlannedCase& planned = case_of(plan, key);
        EXPECT_TRUE(has_gate(planned, "max(mae) <= 0.0002")) << key;
        EXPECT_THAT(planned.route_asked, testing::AnyOf("fa2_dense", "fa2_varlen", "sdpa"));
    }
}

TEST(Fa2RoutingTest, PutsThePublishedOracleOnTrialWithoutLettingItDecide) {
    const PlannedCase planned = case_of(plan_of("experiments/fa2_routing.yaml"), "published_oracle");
    EXPECT_EQ(planned.route_asked, "sdpa_causal_one_query");
    EXPECT_TRUE(has_gate(planned, "max(mae_first_key_only) <= 1e-05"));
    EXPECT_FALSE(has_gate(planned, "max(mae) <= 0.0002"));
    EXPECT_THAT(planned.argv, Contains("cpu"));
}

TEST(Fa2RoutingTest, BenchesTheDecodeStepOfTheSeedReport) {
    const PlannedCase planned = case_of(plan_of("experiments/fa2_routing.yaml"), "decode_bench");
    const std::string line = testing::PrintToString(planned.argv);
    for (const char* pair :
         {"\"--seq\", \"512,1024,2048\"", "\"--dim\", \"256\"", "\"--heads\", \"8\"", "\"--groups\", \"2\"",
          "\"--dk\", \"32\"", "\"--dv\", \"32\"", "\"--batch\", \"1\"", "\"--l\", \"32\"", "\"--d\", \"16\"",
          "\"--l-sel\", \"64\"", "\"--n\", \"16\"", "\"--w\", \"512\""}) {
        EXPECT_THAT(line, HasSubstr(pair));
    }
    EXPECT_TRUE(has_gate(planned, "reads_actual_total = reads_expected_total"));
    EXPECT_THAT(planned.needs, ElementsAre(CaseKey{"small_s_identity"}, CaseKey{"decode_parity"}));
}

// What is ranked must differ by its flags only.
TEST(Fa2RoutingTest, TimesEveryRouteOfTheSlidingBranchAlike) {
    const Plan plan = plan_of("experiments/fa2_routing.yaml");
    const PlannedCase& sdpa = case_of(plan, "decode_fp16_sdpa");
    for (const char* route : {"dense", "varlen"}) {
        const PlannedCase& fa2 = case_of(plan, std::string("decode_fp16_fa2_") + route);
        EXPECT_EQ(fa2.params, sdpa.params);
        EXPECT_EQ(fa2.env.at("NSA_USE_FA2"), "1");
        EXPECT_NE(fa2.env, sdpa.env);
    }
    EXPECT_EQ(sdpa.env.at("NSA_USE_FA2"), "0");
}

TEST(Fa2RoutingTest, TrainsTenStepsOfTheSeedReport) {
    const std::string line =
        testing::PrintToString(case_of(plan_of("experiments/fa2_routing.yaml"), "training_smoke").argv);
    for (const char* pair :
         {"\"--steps\", \"10\"", "\"--dim\", \"128\"", "\"--heads\", \"8\"", "\"--groups\", \"2\"",
          "\"--seq\", \"128\"", "\"--batch\", \"8\"", "\"--data\", \"synthetic\""}) {
        EXPECT_THAT(line, HasSubstr(pair));
    }
}

// What was to be reached, in milliseconds and tokens per second, before anything was measured.
TEST(PrefillCudaTest, HoldsTheThresholdsThatWereSetBeforehandAsGates) {
    const Plan plan = plan_of("experiments/prefill_cuda.yaml");
    EXPECT_TRUE(has_gate(case_of(plan, "forward_8k"), "ms_total <= 2.6 ms"));
    EXPECT_TRUE(has_gate(case_of(plan, "forward_64k"), "ms_total <= 34 ms"));
    EXPECT_TRUE(has_gate(case_of(plan, "backward_64k"), "ms_total <= 88 ms"));
    EXPECT_TRUE(has_gate(case_of(plan, "training_smoke"), "tokens_per_s >= 100000"));
    for (const char* key : {"forward_8k", "forward_64k", "backward_64k"}) {
        const PlannedCase& planned = case_of(plan, key);
        EXPECT_EQ(planned.route_asked, "cuda");
        EXPECT_THAT(planned.needs, testing::SizeIs(6)) << "parity of three branches in two types";
        EXPECT_TRUE(has_gate(planned, "invalid == 0"));
        const bool backward = key == std::string_view{"backward_64k"};
        EXPECT_TRUE(has_gate(planned, backward ? "parts_gap_percent <= 8" : "parts_gap_percent <= 5"));
    }
}

class ReferenceTest : public testing::Test {
  protected:
    void expect_word(std::string_view word) { EXPECT_THAT(text_, HasSubstr("`" + std::string(word) + "`")); }
    void expect_keys(std::span<const yaml::Key> keys) {
        for (const yaml::Key& key : keys)
            expect_word(key.name);
    }
    const std::string text_ = file_text("docs/spec.md");
};

TEST_F(ReferenceTest, DescribesEveryKey) {
    for (std::span<const yaml::Key> keys :
         {std::span<const yaml::Key>(yaml::kSpecKeys), std::span<const yaml::Key>(yaml::kCodeKeys),
          std::span<const yaml::Key>(yaml::kTargetKeys), std::span<const yaml::Key>(yaml::kTimeoutKeys),
          std::span<const yaml::Key>(yaml::kRetryKeys), std::span<const yaml::Key>(yaml::kRepeatKeys),
          std::span<const yaml::Key>(yaml::kBudgetKeys), std::span<const yaml::Key>(yaml::kReportKeys),
          std::span<const yaml::Key>(yaml::kStepKeys), std::span<const yaml::Key>(yaml::kXfailKeys),
          std::span<const yaml::Key>(yaml::kTextCheckKeys), std::span<const yaml::Key>(yaml::kIdentityKeys),
          std::span<const yaml::Key>(yaml::kFiniteKeys), std::span<const yaml::Key>(yaml::kMinSamplesKeys),
          std::span<const yaml::Key>(yaml::kTrendKeys), std::span<const yaml::Key>(yaml::kFactKeys),
          std::span<const yaml::Key>(yaml::kCsvKeys), std::span<const yaml::Key>(yaml::kRegexKeys)}) {
        expect_keys(keys);
    }
}

TEST_F(ReferenceTest, DescribesEveryKindWithItsParamsAndDefaults) {
    for (const StepKind* kind : step_kinds()) {
        const std::size_t start = text_.find("### `" + std::string(kind->name()) + "`");
        ASSERT_NE(start, std::string::npos) << kind->name();
        const std::string section = text_.substr(start, text_.find("\n### ", start + 1) - start);
        for (const ParamSchema& param : kind->params()) {
            const std::string row = "| `" + std::string(param.name) + "` | " +
                                    (param.fallback.empty() ? "" : "`" + std::string(param.fallback) + "` ") +
                                    "|";
            EXPECT_THAT(section, HasSubstr(row)) << kind->name();
        }
    }
}

// A row of the table is "| `metric`, ... | of | default check |".
TEST_F(ReferenceTest, SaysTheDefaultChecksOfParityInTheRowsOfTheirMetrics) {
    std::set<std::string> metrics;
    for (const std::string params : {"branch: sliding, gradients: on", "branch: module", "branch: decode",
                                     "branch: decode_step, route: cuda, dtype: fp16"}) {
        const std::string yaml = "version: 1\nname: p\nsteps:\n  - id: p\n    kind: parity\n    params: {" +
                                 params + "}\n    checks: [mae <= 1, max(gradients_bound_ratio) <= 1]\n";
        const Result<ExperimentSpec> spec = parse_spec(yaml, "p.yaml");
        ASSERT_TRUE(spec) << spec.error().describe();
        const Result<Plan> plan = make_plan(*spec, yaml);
        ASSERT_TRUE(plan) << plan.error().describe();
        for (const Check& check : plan->cases.front().checks) {
            const std::string metric(subject_of(check.rule));
            if (metric.empty()) continue;  // of a fact
            metrics.insert(metric);
            EXPECT_THAT(text_, testing::ContainsRegex("\n\\| [^|]*`" + metric +
                                                      "`[^|]*\\|[^|]*\\|[^|]*[a-z0-9][^|]* \\|\n"))
                << metric;
        }
    }
    EXPECT_GT(metrics.size(), 5U);
}

TEST_F(ReferenceTest, DescribesEveryFlagVerdictAndWord) {
    for (const char* flag :
         {"NSA_USE_FA2", "NSA_USE_FA2_WIN", "NSA_USE_FA2_CMP", "NSA_TEST_FA2", "NSA_WIN_FORCE_DENSE",
          "NSA_FA2_FORCE_VARLEN", "NSA_FA2_FORCE_DENSE", "NSA_FA2_MIN_LEN_WIN", "NSA_FA2_MIN_LEN_CMP",
          "NSA_SDPA_AUDIT", "NSA_FORCE_BRANCH"}) {
        expect_word(flag);
    }
    for (int i = 0; i <= static_cast<int>(Verdict::kCancelled); ++i)
        expect_word(to_string(static_cast<Verdict>(i)));
    for (int i = 0; i <= static_cast<int>(Status::kCancelled); ++i)
        expect_word(to_string(static_cast<Status>(i)));
}

}  // namespace
}  // namespace nsa::language
