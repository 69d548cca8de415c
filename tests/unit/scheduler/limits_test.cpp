#include "scheduler/limits.hpp"

#include <gtest/gtest.h>

#include "language/stop_times.hpp"
#include "scheduler/failure.hpp"

namespace nsa::scheduler {
namespace {

using namespace std::chrono_literals;
using language::FailureClass;
using language::Reason;

TEST(Limits, RunLimitIsTheSumOfTheCasesAndNoneWhenOneCaseHasNone) {
    language::Plan plan;
    plan.cases.resize(2);
    plan.cases[0].timeout = 10min;
    plan.cases[1].timeout = 5min;
    EXPECT_EQ(limits_of(plan).run, 15min + 2 * language::kLongestStop);
    plan.cases[1].timeout = 0min;
    EXPECT_EQ(limits_of(plan).run, 0min);
}

TEST(Limits, SilenceIsTheLongestOfTheCasesAndOffWhenOneCaseMayBeSilentForEver) {
    language::Plan plan;
    plan.cases.resize(2);
    plan.cases[0].silence = 1min;
    plan.cases[1].silence = 3min;
    EXPECT_EQ(limits_of(plan).silence, 3min);
    plan.cases[0].silence = 0min;
    EXPECT_EQ(limits_of(plan).silence, 0min);
}

TEST(Limits, LeaveTheWorkerTheTimeToStopEveryOneOfManyCases) {
    language::Plan plan;
    plan.cases.resize(100);
    for (language::PlannedCase& planned : plan.cases)
        planned.timeout = 1s;
    // Each ignores SIGTERM and dies of SIGKILL.
    const Duration all = 100 * (1s + language::kStopGrace);
    EXPECT_GE(limits_of(plan).run + Policy{}.backstop_margin, all);
}

TEST(Limits, SetupLimitIsOneBudgetForAllItsCommands) {
    language::Plan plan;
    plan.timeouts.setup = 10min;
    plan.setup.resize(3);
    plan.tools = {"nsa-core"};
    EXPECT_EQ(limits_of(plan).setup, 10min);
    EXPECT_GE(Policy{}.backstop_margin, language::kLongestStop) << "one command at most is stopped";
}

TEST(ReconnectDelay, GrowsFromOneSecondToAMinuteAndNeverLeavesThoseBounds) {
    const Policy policy;
    Duration previous{};
    for (int failures = 1; failures < 100; ++failures) {
        for (const double jitter : {0.0, 0.3, 0.999}) {
            const Duration delay = reconnect_delay(policy, failures, jitter);
            EXPECT_GE(delay, 1s);
            EXPECT_LE(delay, 60s);
        }
        EXPECT_GE(reconnect_delay(policy, failures, 0.5), previous);
        previous = reconnect_delay(policy, failures, 0.5);
    }
    EXPECT_EQ(reconnect_delay(policy, 50, 0.999).count() / 1000, 59);
}

TEST(ReconnectDelay, JitterSpreadsAFleet) {
    const Policy policy;
    EXPECT_LT(reconnect_delay(policy, 5, 0.1), reconnect_delay(policy, 5, 0.9));
}

TEST(FailureClass, AFailureOfTheSubjectOrAPersonsDecisionIsNeverRetried) {
    for (const Reason reason :
         {Reason::kNone, Reason::kCompleted, Reason::kCancelledByUser, Reason::kSetupFailed,
          Reason::kHostKeyRefused, Reason::kAuthRefused, Reason::kInstanceMissing, Reason::kTargetUnmet}) {
        EXPECT_FALSE(failure_class(reason)) << language::to_string(reason);
    }
}

TEST(MayRetry, OnlyTheListedClassesAndOnlyUpToTheCap) {
    const language::Retry retry{.on = {FailureClass::kInfra}, .max = 2};
    EXPECT_TRUE(may_retry(retry, Reason::kWorkerDied, 0));
    EXPECT_TRUE(may_retry(retry, Reason::kWorkerDied, 1));
    EXPECT_FALSE(may_retry(retry, Reason::kWorkerDied, 2));
    EXPECT_FALSE(may_retry(retry, Reason::kHostRebooted, 0));
    EXPECT_FALSE(may_retry(retry, Reason::kQueueTimeout, 0));
}

}  // namespace
}  // namespace nsa::scheduler
