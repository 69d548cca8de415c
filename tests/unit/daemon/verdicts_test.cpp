#include "daemon/verdicts.hpp"

#include <gtest/gtest.h>

namespace nsa::daemon {
namespace {

using language::Reason;
using language::Status;
using language::Verdict;

language::Plan plan_of(const std::vector<std::string>& keys) {
    language::Plan plan;
    for (const std::string& key : keys) {
        language::PlannedCase planned;
        planned.key = {key};
        planned.step = key;
        planned.kind = "command";
        planned.exit_code_is_verdict = true;
        plan.cases.push_back(planned);
    }
    return plan;
}

store::StoredOutcome ended(const std::string& key, int exit_code) {
    store::StoredOutcome outcome;
    outcome.key = {key};
    outcome.outcome.end = language::ProcessEnd{};
    outcome.outcome.end->exit_code = exit_code;
    return outcome;
}

TEST(Verdicts, EveryCaseOfThePlanIsJudgedInOrder) {
    const RunVerdict verdict =
        judge_run(plan_of({"b", "a"}), {ended("a", 1), ended("b", 0)}, Reason::kCompleted, "", "2026-11-23");
    ASSERT_EQ(verdict.cases.size(), 2U);
    EXPECT_EQ(verdict.cases[0].key, CaseKey{"b"});
    EXPECT_EQ(verdict.cases[0].judgement.verdict, Verdict::kPass);
    EXPECT_EQ(verdict.cases[1].judgement.verdict, Verdict::kFail);
    EXPECT_EQ(verdict.status, Status::kFail);
    EXPECT_EQ(verdict.message.rfind("a: FAIL", 0), 0U) << verdict.message;
}

TEST(Verdicts, ARunThatPassedNeedsNoWords) {
    const RunVerdict verdict =
        judge_run(plan_of({"a"}), {ended("a", 0)}, Reason::kCompleted, "", "2026-11-23");
    EXPECT_EQ(verdict.status, Status::kPass);
    EXPECT_EQ(verdict.message, "");
}

TEST(Verdicts, AWarmUpDecidesNothingHoweverItEnded) {
    language::Plan plan = plan_of({"w", "a"});
    plan.cases[0].warmup = true;
    const RunVerdict verdict =
        judge_run(plan, {ended("w", 1), ended("a", 0)}, Reason::kCompleted, "", "2026-11-23");
    EXPECT_EQ(verdict.cases[0].judgement.verdict, Verdict::kSkip);
    EXPECT_EQ(verdict.status, Status::kPass);
    EXPECT_EQ(verdict.message, "");
}

TEST(Verdicts, CasesThatNeverEndedCarryTheSystemsReason) {
    const RunVerdict verdict =
        judge_run(plan_of({"a"}), {}, Reason::kHostUnreachable, "instance x: no route", "2026-11-23");
    EXPECT_EQ(verdict.status, Status::kInfrastructure);
    EXPECT_TRUE(verdict.cases[0].judgement.infrastructure);
    EXPECT_NE(verdict.cases[0].judgement.reason.find("no route"), std::string::npos);
    EXPECT_EQ(verdict.message, "instance x: no route");
}

TEST(Verdicts, AnEndedCaseKeepsItsVerdictWhenTheHostDiesAfterIt) {
    const RunVerdict verdict =
        judge_run(plan_of({"a", "b"}), {ended("a", 1)}, Reason::kHostRebooted, "rebooted", "2026-11-23");
    EXPECT_EQ(verdict.cases[0].judgement.verdict, Verdict::kFail);
    EXPECT_EQ(verdict.cases[1].judgement.verdict, Verdict::kError);
    EXPECT_EQ(verdict.status, Status::kFail);
}

TEST(Verdicts, ARunWhoseWorkerDiedAfterItsLastCaseIsNeverAPass) {
    const RunVerdict verdict =
        judge_run(plan_of({"a"}), {ended("a", 0)}, Reason::kWorkerDied, "killed while hashing", "2026-11-23");
    EXPECT_EQ(verdict.cases[0].judgement.verdict, Verdict::kPass);
    EXPECT_EQ(verdict.status, Status::kPartialPass);
}

TEST(Verdicts, WithoutItsArtifactsNoCaseHasAVerdict) {
    for (const Reason reason : {Reason::kPullTimeout, Reason::kPullFailed}) {
        const RunVerdict verdict =
            judge_run(plan_of({"a"}), {ended("a", 0)}, reason, "hash differs", "2026-11-23");
        EXPECT_EQ(verdict.cases[0].judgement.verdict, Verdict::kError);
        EXPECT_EQ(verdict.status, Status::kInfrastructure);
    }
}

TEST(Verdicts, ACancelledRunWithoutAFailureIsCancelled) {
    const RunVerdict verdict =
        judge_run(plan_of({"a", "b"}), {ended("a", 0)}, Reason::kCancelledByUser, "cancelled", "2026-11-23");
    EXPECT_EQ(verdict.cases[0].judgement.verdict, Verdict::kPass);
    EXPECT_EQ(verdict.cases[1].judgement.verdict, Verdict::kCancelled);
    EXPECT_EQ(verdict.status, Status::kCancelled);
}

TEST(Verdicts, ARunThatCannotBeJudgedHasNoVerdictInAnyCaseAndSaysWhy) {
    std::vector<store::CaseRow> cases(2);
    cases[0].key = {"a"};
    cases[1].key = {"b"};
    const RunVerdict verdict = unjudged_run(cases, Reason::kInternal, "its stored plan cannot be read");
    EXPECT_EQ(verdict.status, Status::kInfrastructure);
    ASSERT_EQ(verdict.cases.size(), 2U);
    for (const store::PublishedCase& one : verdict.cases) {
        EXPECT_EQ(one.judgement.verdict, Verdict::kError);
        EXPECT_EQ(one.judgement.reason, "its stored plan cannot be read");
    }
    const RunVerdict cancelled = unjudged_run(cases, Reason::kCancelledByUser, "cancelled");
    EXPECT_EQ(cancelled.status, Status::kCancelled);
    EXPECT_EQ(cancelled.cases[0].judgement.verdict, Verdict::kCancelled);
}

}  // namespace
}  // namespace nsa::daemon
