// Repetitions as cases of their own, and the ceiling that a plan is held to.
#include "language/repeat.hpp"

#include <gmock/gmock.h>

#include "language/budget.hpp"

namespace nsa::language {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Step command(std::string id, std::vector<std::string> needs = {}) {
    Step step;
    step.id = std::move(id);
    step.kind = "command";
    step.run = {"true"};
    step.needs = std::move(needs);
    step.timeout = minutes{30};
    step.checks = {
        {"", ThresholdCheck{"ms", Op::kLessEqual, 1, "", Aggregate::kMedian, 0}, Level::kGate, ""}};
    return step;
}

ExperimentSpec build_and_bench(Repeat repeat) {
    ExperimentSpec spec;
    spec.name = "x";
    spec.steps = {command("build"), command("bench", {"build"})};
    spec.repeat = repeat;
    spec.timeouts.provision = minutes{10};
    spec.timeouts.setup = minutes{40};
    spec.timeouts.pull = minutes{10};
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

TEST(RepeatTest, WithoutItKeysAndThresholdsStayAsTheyWere) {
    const Plan plan = plan_of(build_and_bench({}));
    EXPECT_THAT(keys_of(plan), ElementsAre("build", "bench"));
    EXPECT_THAT(to_text(plan), testing::Not(HasSubstr("repeat")));
    EXPECT_THAT(to_text(plan), testing::Not(HasSubstr("warmup")));
}

TEST(RepeatTest, ACasesRepetitionsFollowEachOtherWarmUpsFirst) {
    const Plan plan = plan_of(build_and_bench({2, 1, false}));
    EXPECT_THAT(keys_of(plan), ElementsAre("build[repeat=w1]", "build[repeat=1]", "build[repeat=2]",
                                           "bench[repeat=w1]", "bench[repeat=1]", "bench[repeat=2]"));
}

TEST(RepeatTest, InterleavedAllCasesTakeTurns) {
    const Plan plan = plan_of(build_and_bench({2, 1, true}));
    EXPECT_THAT(keys_of(plan), ElementsAre("build[repeat=w1]", "bench[repeat=w1]", "build[repeat=1]",
                                           "bench[repeat=1]", "build[repeat=2]", "bench[repeat=2]"));
}

TEST(RepeatTest, NeedsMeanTheSameRepetition) {
    for (const bool interleave : {false, true}) {
        const Plan plan = plan_of(build_and_bench({2, 0, interleave}));
        for (const PlannedCase& planned : plan.cases) {
            if (planned.step != "bench") continue;
            EXPECT_THAT(planned.needs,
                        ElementsAre(CaseKey{"build[repeat=" + planned.matrix.at("repeat") + "]"}));
        }
    }
}

TEST(RepeatTest, AWarmUpDemandsNothingAndWaitsForNothing) {
    const Plan plan = plan_of(build_and_bench({1, 1, false}));
    const PlannedCase &warmup = plan.cases[2], &judged = plan.cases[3];
    EXPECT_TRUE(warmup.warmup);
    EXPECT_THAT(warmup.checks, IsEmpty());
    EXPECT_THAT(warmup.needs, IsEmpty());
    EXPECT_FALSE(judged.warmup);
    EXPECT_EQ(judged.checks.size(), 1U);
    EXPECT_EQ(judged.needs.size(), 1U);
}

TEST(RepeatTest, RepetitionsMultiplyWithTheMatrixAndAreBoundedWithIt) {
    ExperimentSpec spec = build_and_bench({50, 0, false});
    spec.steps[0].run = {"echo", "${{ matrix.S }}"};
    for (std::int64_t i = 0; i < 80; ++i)
        spec.matrix["S"].emplace_back(i);
    EXPECT_EQ(plan_of(spec).cases.size(), 81U * 50U);
}

TEST(RepeatTest, MoreThan4096CasesAreRefused) {
    ExperimentSpec spec = build_and_bench({100, 0, false});
    spec.steps[0].run = {"echo", "${{ matrix.S }}"};
    for (std::int64_t i = 0; i < 41; ++i)
        spec.matrix["S"].emplace_back(i);
    EXPECT_THAT(error_of(spec), HasSubstr("matrix and repetitions make more than 4096 cases"));
}

TEST(RepeatTest, AMatrixKeyOfThatNameIsRefused) {
    ExperimentSpec spec = build_and_bench({2, 0, false});
    spec.steps[0].run = {"echo", "${{ matrix.repeat }}"};
    spec.matrix["repeat"] = {std::int64_t{1}};
    EXPECT_THAT(error_of(spec), HasSubstr("the matrix key 'repeat' is taken by repeat"));
}

TEST(RepeatTest, APlanWithRepetitionsSurvivesItsText) {
    ExperimentSpec spec = build_and_bench({3, 2, true});
    spec.budget = {hours{24}, 2.49, 100};
    const Plan plan = plan_of(spec);
    const Result<Plan> read = plan_from_text(to_text(plan));
    ASSERT_TRUE(read) << read.error().describe();
    EXPECT_EQ(*read, plan);
}

TEST(BudgetTest, TheCeilingIsTheSumOfAllLimitsTimesTheTries) {
    ExperimentSpec spec = build_and_bench({});
    EXPECT_EQ(longest_on_host(plan_of(spec)), hours{2});
    spec.retry.max = 2;
    EXPECT_EQ(longest_on_host(plan_of(spec)), hours{2}) << "no class is retried";
    spec.retry.on = {FailureClass::kInfra};
    EXPECT_EQ(longest_on_host(plan_of(spec)), hours{6});
    spec.repeat.n = 2;
    EXPECT_EQ(longest_on_host(plan_of(spec)), hours{9});
    spec.budget.hourly = 2.5;
    EXPECT_DOUBLE_EQ(highest_price(plan_of(spec)), 22.5);
}

TEST(BudgetTest, APlanThatMayTakeLongerIsRefusedWithBothFigures) {
    ExperimentSpec spec = build_and_bench({});
    spec.budget.wall = hours{2};
    EXPECT_EQ(error_of(spec), "no error");
    spec.budget.wall = minutes{119} + seconds{30};
    EXPECT_EQ(
        error_of(spec),
        "budget: the limits allow 2h on the host, the budget is 1h 59m 30s; lower timeouts, retry.max or the "
        "number of cases, or raise the budget");
}

TEST(BudgetTest, APlanThatMayCostMoreIsRefusedWithItsPrice) {
    ExperimentSpec spec = build_and_bench({});
    spec.budget = {Duration::zero(), 2.5, 5};
    EXPECT_EQ(error_of(spec), "no error");
    spec.budget.total = 4.5;
    EXPECT_THAT(error_of(spec),
                HasSubstr("the limits allow 2h on the host, 5 at 2.5 an hour; the budget is 4.5"));
}

}  // namespace
}  // namespace nsa::language
