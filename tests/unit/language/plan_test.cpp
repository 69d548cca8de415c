#include "language/plan.hpp"

#include <gmock/gmock.h>

#include <boost/json.hpp>

#include "language/hash.hpp"

namespace nsa::language {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Step command(std::string id, std::vector<std::string> run = {"true"}) {
    Step step;
    step.id = std::move(id);
    step.kind = "command";
    step.run = std::move(run);
    step.source = "x.yaml:" + step.id;
    return step;
}

ExperimentSpec spec_of(std::vector<Step> steps) {
    ExperimentSpec spec;
    spec.name = "x";
    spec.steps = std::move(steps);
    return spec;
}

Plan plan_of(const ExperimentSpec& spec) {
    Result<Plan> plan = make_plan(spec, "text");
    EXPECT_TRUE(plan) << plan.error().describe();
    return plan ? std::move(*plan) : Plan{};
}

std::string error_of(const ExperimentSpec& spec) {
    const Result<Plan> plan = make_plan(spec, "text");
    return plan ? "no error" : plan.error().describe();
}

std::vector<std::string> keys_of(const Plan& plan) {
    std::vector<std::string> keys;
    for (const PlannedCase& planned : plan.cases)
        keys.push_back(planned.key.value);
    return keys;
}

ExperimentSpec matrix_spec() {
    Step first = command("a", {"echo", "${{ matrix.S }}", "x${{matrix.t}}y"});
    first.title = "S is ${{ matrix.S }}";
    first.env = {{"SIZE", "${{ matrix.S }}"}};
    Step second = command("b", {"echo", "${{ matrix.S }}"});
    second.needs = {"a"};
    Step third = command("c");
    third.needs = {"b"};
    ExperimentSpec spec = spec_of({first, second, third});
    spec.matrix = {{"S", {std::int64_t{512}, std::int64_t{1024}}},
                   {"t", {std::string("u"), std::string("v")}}};
    return spec;
}

TEST(MatrixTest, AStepExpandsOverTheKeysItRefersTo) {
    EXPECT_THAT(keys_of(plan_of(matrix_spec())), ElementsAre("a[S=512,t=u]", "a[S=512,t=v]", "a[S=1024,t=u]",
                                                             "a[S=1024,t=v]", "b[S=512]", "b[S=1024]", "c"));
}

TEST(MatrixTest, PlaceholdersAreReplacedInArgumentsEnvironmentAndTitle) {
    const PlannedCase planned = plan_of(matrix_spec()).cases[1];
    EXPECT_THAT(planned.argv, ElementsAre("echo", "512", "xvy"));
    EXPECT_EQ(planned.env.at("SIZE"), "512");
    EXPECT_EQ(planned.title, "S is 512");
    EXPECT_EQ(planned.matrix, (Labels{{"S", "512"}, {"t", "v"}}));
}

TEST(MatrixTest, NeedsMeanTheCasesThatAgreeOnSharedKeysElseAll) {
    const Plan plan = plan_of(matrix_spec());
    EXPECT_THAT(plan.cases[4].needs, ElementsAre(CaseKey{"a[S=512,t=u]"}, CaseKey{"a[S=512,t=v]"}));
    EXPECT_THAT(plan.cases[6].needs, ElementsAre(CaseKey{"b[S=512]"}, CaseKey{"b[S=1024]"}));
}

TEST(MatrixTest, AParamThatIsOnePlaceholderKeepsTheValuesType) {
    Step step;
    step.id = "p";
    step.kind = "parity";
    step.params = {{"branch", Scalar(std::string("sliding"))}, {"w", Scalar(std::string("${{ matrix.w }}"))}};
    step.checks = {
        {"", ThresholdCheck{"mae", Op::kLessEqual, 1e-3, "", Aggregate::kMedian, 0}, Level::kGate, ""}};
    ExperimentSpec spec = spec_of({step});
    spec.matrix = {{"w", {std::int64_t{16}}}};
    EXPECT_EQ(plan_of(spec).cases[0].params.at("w"), ParamValue(Scalar(std::int64_t{16})));
    spec.matrix = {{"w", {std::string("wide")}}};
    EXPECT_EQ(error_of(spec), "step 'p': param 'w': expected a whole number from 1 to 1048576, found 'wide'");
}

TEST(MatrixTest, ReplacedTextIsNotExpandedAgain) {
    Step step = command("a", {"echo", "${{ matrix.k }}"});
    ExperimentSpec spec = spec_of({step});
    spec.matrix = {{"k", {std::string("${{ matrix.k }}")}}};
    EXPECT_EQ(plan_of(spec).cases[0].argv[1], "${{ matrix.k }}");
}

TEST(MatrixTest, FaultsNameTheStepAndWhatWouldBeRight) {
    ExperimentSpec spec = spec_of({command("a", {"${{ matrix.k }"})});
    EXPECT_EQ(error_of(spec), "x.yaml:a: step 'a': '${{' without '}}'; expected ${{ matrix.key }}");
    spec = spec_of({command("a", {"${{ env.k }}"})});
    EXPECT_EQ(error_of(spec), "x.yaml:a: step 'a': '${{ env.k }}' is unknown; expected ${{ matrix.key }}");
    spec = matrix_spec();
    spec.steps[0].run = {"${{ matrix.s }}"};
    EXPECT_EQ(error_of(spec),
              "x.yaml:a: step 'a': '${{ matrix.s }}': the matrix has no key 's'; expected one of S, t; did "
              "you mean 'S'?");
    spec = matrix_spec();
    spec.steps[0].run = {"${{ matrix.S }}"};
    EXPECT_EQ(error_of(spec), "x: matrix key 't' is used by no step; write ${{ matrix.t }} in one");
    spec = matrix_spec();
    spec.env = {{"A", "${{ matrix.S }}"}};
    EXPECT_EQ(error_of(spec), "x: env 'A': only the env of a step may use the matrix");
}

TEST(MatrixTest, ExplosionsAreRefusedBeforeTheyHappen) {
    std::vector<Scalar> many;
    for (std::int64_t i = 0; i < 4096; ++i)
        many.emplace_back(i);
    ExperimentSpec spec = spec_of({command("a", {"${{ matrix.x }}"})});
    spec.matrix = {{"x", many}};
    EXPECT_EQ(plan_of(spec).cases.size(), 4096U);
    spec.steps.push_back(command("b"));
    EXPECT_THAT(error_of(spec), HasSubstr("more than 4096 cases"));
    spec.steps = {command("a", {"${{ matrix.x }}${{ matrix.y }}${{ matrix.z }}"})};
    spec.matrix = {{"x", many}, {"y", many}, {"z", many}};
    EXPECT_THAT(error_of(spec), HasSubstr("more than 4096 cases"));
}

TEST(MatrixTest, TooManyNeedsAreRefused) {
    std::vector<Scalar> many;
    for (std::int64_t i = 0; i < 2000; ++i)
        many.emplace_back(i);
    Step second = command("b", {"${{ matrix.y }}"});
    second.needs = {"a"};
    ExperimentSpec spec = spec_of({command("a", {"${{ matrix.x }}"}), second});
    spec.matrix = {{"x", many}, {"y", many}};
    EXPECT_THAT(error_of(spec), HasSubstr("needs too many cases"));
}

TEST(PlanTest, ASetupCommandIsCalledByItsBoundedText) {
    ExperimentSpec spec = spec_of({command("a")});
    spec.setup = {{"make", "-j4"}, {"sh", "-c", std::string(100'000, '\x01')}};
    const Plan plan = plan_of(spec);
    EXPECT_EQ(plan.setup[0].title, "make -j4");
    EXPECT_LT(plan.setup[1].title.size(), 1000U);
}

TEST(PlanTest, NeedsPointBackwards) {
    Step first = command("a");
    first.needs = {"bb"};
    EXPECT_EQ(error_of(spec_of({first, command("bb")})),
              "x.yaml:a: step 'a': needs 'bb', which is no earlier step");
    Step self = command("a");
    self.needs = {"a"};
    EXPECT_THAT(error_of(spec_of({self})), HasSubstr("needs 'a', which is no earlier step"));
}

TEST(PlanTest, StepsNeedIdsOfTheirOwnAndAtLeastOneIsNeeded) {
    EXPECT_EQ(error_of(spec_of({command("a"), command("a")})),
              "x.yaml:a: step 'a': the id is taken by an earlier step");
    EXPECT_EQ(error_of(spec_of({})), "x: an experiment needs at least one step");
}

TEST(PlanTest, TheEnvironmentOfAStepWinsOverThatOfTheExperiment) {
    Step step = command("a");
    step.env = {{"NSA_TEST_FA2", "1"}};
    ExperimentSpec spec = spec_of({step});
    spec.env = {{"NSA_TEST_FA2", "0"}, {"OMP_NUM_THREADS", "2"}};
    const PlannedCase planned = plan_of(spec).cases[0];
    EXPECT_EQ(planned.env,
              (std::map<std::string, std::string>{{"NSA_TEST_FA2", "1"}, {"OMP_NUM_THREADS", "2"}}));
}

TEST(PlanTest, ContradictingFlagsFromBothLevelsAreRefused) {
    Step step = command("a");
    step.env = {{"NSA_FA2_FORCE_DENSE", "1"}};
    ExperimentSpec spec = spec_of({step});
    spec.env = {{"NSA_FA2_FORCE_VARLEN", "1"}};
    EXPECT_THAT(error_of(spec), HasSubstr("contradict each other"));
}

TEST(PlanTest, LimitsOfTheExperimentHoldUnlessTheStepSaysLess) {
    Step quick = command("quick");
    quick.timeout = std::chrono::seconds{5};
    quick.silence = std::chrono::seconds{1};
    ExperimentSpec spec = spec_of({quick, command("slow")});
    spec.timeouts.run = std::chrono::hours{1};
    spec.timeouts.silence = std::chrono::minutes{2};
    const Plan plan = plan_of(spec);
    EXPECT_EQ(plan.cases[0].timeout, std::chrono::seconds{5});
    EXPECT_EQ(plan.cases[0].silence, std::chrono::seconds{1});
    EXPECT_EQ(plan.cases[1].timeout, std::chrono::hours{1});
    EXPECT_EQ(plan.cases[1].silence, std::chrono::minutes{2});
}

TEST(PlanTest, ChecksWithTheSameTextGetDifferentIds) {
    Step step = command("a");
    step.checks = {{"", FiniteCheck{{"m"}}, Level::kGate, ""}, {"", FiniteCheck{{"m"}}, Level::kInfo, ""}};
    const PlannedCase planned = plan_of(spec_of({step})).cases[0];
    EXPECT_EQ(planned.checks[0].id, "finite m");
    EXPECT_EQ(planned.checks[1].id, "finite m #2");
}

TEST(PlanTest, TheSpecHashIsThatOfTheYamlBytes) {
    EXPECT_EQ(make_plan(spec_of({command("a")}), "abc")->spec_hash, sha256_of("abc"));
}

TEST(PlanTest, NamesTheToolsThatItsCasesUse) {
    EXPECT_TRUE(plan_of(spec_of({command("a")})).tools.empty());
    Step probe;
    probe.id = "env";
    probe.kind = "env_check";
    EXPECT_THAT(plan_of(spec_of({probe})).tools, ElementsAre("nsa-core"));
}

TEST(PlanTest, TheReportTakesTheNextBestSubject) {
    ExperimentSpec spec = spec_of({command("a")});
    EXPECT_EQ(plan_of(spec).report.subject, "x");
    spec.subject = "Subject";
    EXPECT_EQ(plan_of(spec).report.subject, "Subject");
    spec.report.subject = "Title";
    EXPECT_EQ(plan_of(spec).report.subject, "Title");
}

Step checked(double limit) {
    Step step = command("a");
    step.checks = {{"", ThresholdCheck{"ms", Op::kLess, limit, "ms", Aggregate::kMedian, 0}, Level::kGate,
                    "x.yaml:9:9"}};
    return step;
}

TEST(ThresholdsHashTest, IsStableAndIgnoresPlacesAndWhatIsNotDemanded) {
    const Sha256 hash = plan_of(spec_of({checked(5)})).thresholds_hash;
    // Pinned: a changed hash would make every stored run look as if its thresholds had been edited.
    EXPECT_EQ(hash.value, "a5d943d4421edad4b76ad79f3754387a50d0b14f2edece0722dd36a32221186d");
    Step moved = checked(5);
    moved.checks[0].source = "y.yaml:100:1";
    moved.title = "another title";
    moved.run = {"other"};
    moved.env = {{"A", "b"}};
    EXPECT_EQ(plan_of(spec_of({moved})).thresholds_hash, hash);
}

TEST(ThresholdsHashTest, ChangesWithEveryDemand) {
    const Sha256 hash = plan_of(spec_of({checked(5)})).thresholds_hash;
    EXPECT_NE(plan_of(spec_of({checked(5.000000000000001)})).thresholds_hash, hash);
    Step step = checked(5);
    step.checks[0].level = Level::kWarn;
    EXPECT_NE(plan_of(spec_of({step})).thresholds_hash, hash);
    step = checked(5);
    step.checks.clear();
    EXPECT_NE(plan_of(spec_of({step})).thresholds_hash, hash);
    step = checked(5);
    step.xfail = Waiver{"o", "r", "2027-01-01"};
    EXPECT_NE(plan_of(spec_of({step})).thresholds_hash, hash);
    EXPECT_NE(plan_of(spec_of({checked(5), command("b")})).thresholds_hash, hash);
}

Plan rich_plan() {
    ExperimentSpec spec = matrix_spec();
    spec.subject = "S";
    spec.setup = {{"make", "-j", "2"}};
    spec.retry = {{FailureClass::kInfra, FailureClass::kInterruption}, 2};
    spec.target = {"A100:80GB", 2, EngineKind::kSsh, "box"};
    spec.code = {"r", "main", "c0ffee", {}};
    spec.timeouts.silence = std::chrono::milliseconds{1500};
    Step bench;
    bench.id = "bench";
    bench.kind = "decode_bench";
    bench.needs = {"c"};
    bench.xfail = Waiver{"o", "because \"x\"\n", "2027-01-01"};
    spec.steps.push_back(bench);
    Step parsed = command("parsed");
    parsed.metrics = {{ParserKind::kCsv, "a.csv", "", "", "", {"ms"}, {"S"}, {{"ms", "ms"}}},
                      {ParserKind::kRegex, "stdout", "x=(.*)", "x", "1", {}, {}, {}}};
    parsed.artifacts = {"*.txt"};
    spec.steps.push_back(parsed);
    return plan_of(spec);
}

TEST(PlanJsonTest, RoundTrips) {
    Plan plan = rich_plan();
    plan.code = {"..", "main", "c0ffee", Dirty::kRecord};
    plan.working_tree = WorkingTree{"c0ffee00", 2, "7ee5"};
    const Result<Plan> back = plan_from_text(to_text(plan));
    ASSERT_TRUE(back) << back.error().describe();
    EXPECT_EQ(*back, plan);
    EXPECT_EQ(*plan_from_json(to_json(plan)), plan);
    EXPECT_EQ(to_text(*back), to_text(plan));
}

TEST(PlanJsonTest, AFaultSaysWhere) {
    boost::json::value json = to_json(rich_plan());
    json.at("cases").at(2).at("argv") = "x";
    EXPECT_EQ(plan_from_json(json).error().describe(),
              "plan.cases[2].argv: expected a list, found a value of type string");
    EXPECT_EQ(plan_from_text("{").error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(plan_from_text("{}").error().describe(), "plan.name: the field is missing");
}

}  // namespace
}  // namespace nsa::language
