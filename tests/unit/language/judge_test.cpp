#include "language/judge.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <csignal>

namespace nsa::language {
namespace {

constexpr std::string_view kToday = "2026-11-23";

PlannedCase parity_case() {
    PlannedCase planned;
    planned.key = CaseKey{"p"};
    planned.kind = "parity";
    planned.skip_exit_code = true;
    planned.checks = {{"mae <= 0.0002",
                       ThresholdCheck{"mae", Op::kLessEqual, 2e-4, "", Aggregate::kMedian, 0}, Level::kGate,
                       ""}};
    planned.expected = {{"mae", 1, 1}};
    return planned;
}

PlannedCase command_case() {
    PlannedCase planned;
    planned.kind = "command";
    planned.exit_code_is_verdict = true;
    return planned;
}

PlannedCase warmup_case() {
    PlannedCase planned = command_case();
    planned.warmup = true;
    return planned;
}

CaseOutcome exited(int code, std::vector<Record> records = {}) {
    CaseOutcome outcome;
    outcome.end = ProcessEnd{EndKind::kExited, code, 0, false, ""};
    outcome.records = std::move(records);
    return outcome;
}

CaseOutcome ended(EndKind kind, std::string detail = {}, int signal = 0) {
    CaseOutcome outcome;
    outcome.end = ProcessEnd{kind, 0, signal, false, std::move(detail)};
    return outcome;
}

Record mae(double value) {
    return Measurement{"mae", value, "1", {}, 0};
}

void expect_judged(const CaseJudgement& judgement, Verdict verdict, std::string_view reason) {
    EXPECT_EQ(judgement.verdict, verdict) << to_string(judgement.verdict) << ": " << judgement.reason;
    EXPECT_EQ(judgement.reason, reason);
}

TEST(JudgeTest, AGateThatHoldsPasses) {
    const CaseJudgement judgement = judge(parity_case(), exited(0, {mae(6e-5)}), kToday);
    expect_judged(judgement, Verdict::kPass, "");
    ASSERT_EQ(judgement.checks.size(), 1U);
    EXPECT_EQ(judgement.checks[0].samples_expected, 1);
}

TEST(JudgeTest, AGateThatIsMissedFails) {
    expect_judged(judge(parity_case(), exited(0, {mae(0.773)}), kToday), Verdict::kFail,
                  "mae 0.773 > 0.0002");
}

TEST(JudgeTest, NoSampleIsAnErrorAndNeverAPass) {
    expect_judged(judge(parity_case(), exited(0), kToday), Verdict::kError, "no samples of mae (and 1 more)");
}

TEST(JudgeTest, WarnAndInfoDecideNothing) {
    PlannedCase planned = parity_case();
    planned.checks.push_back(
        {"w", ThresholdCheck{"mae", Op::kLess, 0, "", Aggregate::kMedian, 0}, Level::kWarn, ""});
    planned.checks.push_back({"i", FiniteCheck{{"absent"}}, Level::kInfo, ""});
    const CaseJudgement judgement = judge(planned, exited(0, {mae(0)}), kToday);
    expect_judged(judgement, Verdict::kPass, "");
    EXPECT_EQ(judgement.checks[1].verdict, Verdict::kFail);
    EXPECT_EQ(judgement.checks[2].verdict, Verdict::kError);
}

TEST(JudgeTest, WithoutAGateNothingIsDecided) {
    PlannedCase planned = parity_case();
    planned.checks[0].level = Level::kInfo;
    expect_judged(judge(planned, exited(0, {mae(0)}), kToday), Verdict::kInconclusive,
                  "no gate decides this case");
}

TEST(JudgeTest, AFailOutweighsAnErrorAndSoOn) {
    PlannedCase planned = parity_case();
    planned.checks.push_back({"s", MinSamplesCheck{"mae", 5}, Level::kGate, ""});
    EXPECT_EQ(judge(planned, exited(0, {mae(0)}), kToday).verdict, Verdict::kInconclusive);
    planned.checks.push_back({"i", IdentityCheck{"mae", {"x"}, 0}, Level::kGate, ""});
    EXPECT_EQ(judge(planned, exited(0, {mae(0)}), kToday).verdict, Verdict::kNoReference);
    planned.checks.push_back({"f", FiniteCheck{{"absent"}}, Level::kGate, ""});
    EXPECT_EQ(judge(planned, exited(0, {mae(0)}), kToday).verdict, Verdict::kError);
    EXPECT_EQ(judge(planned, exited(0, {mae(1)}), kToday).verdict, Verdict::kFail);
}

TEST(JudgeTest, AMissingRowIsAnErrorNotASmallerPass) {
    PlannedCase planned = parity_case();
    planned.expected = {{"mae", 3, 1}};
    const CaseJudgement judgement = judge(
        planned,
        exited(0, {Measurement{"mae", 0, "1", {{"S", "1"}}, 0}, Measurement{"mae", 0, "1", {{"S", "2"}}, 0}}),
        kToday);
    expect_judged(judgement, Verdict::kError, "2 of 3 rows of mae were measured");
}

TEST(JudgeTest, FewerSamplesThanAskedPassButFallShort) {
    PlannedCase planned = parity_case();
    planned.expected = {{"mae", 1, 3}};
    const CaseJudgement judgement = judge(planned, exited(0, {mae(0)}), kToday);
    expect_judged(judgement, Verdict::kPass, "1 of 3 samples of mae");
    EXPECT_TRUE(judgement.short_of_asked);
    EXPECT_EQ(status_of({judgement.gate()}, false), Status::kPartialPass);
}

TEST(JudgeTest, FewerStepsThanAskedFallShort) {
    PlannedCase planned = parity_case();
    planned.quotas = {{"steps_done", "steps_asked"}};
    const auto steps = [](double done) {
        return exited(0, {mae(0), Measurement{"steps_done", done, "1", {}, 0},
                          Measurement{"steps_asked", 10, "1", {}, 0}});
    };
    expect_judged(judge(planned, steps(7), kToday), Verdict::kPass, "steps_done 7 of steps_asked 10");
    EXPECT_TRUE(judge(planned, steps(7), kToday).short_of_asked);
    EXPECT_FALSE(judge(planned, steps(10), kToday).short_of_asked);
}

TEST(JudgeTest, ASkipNeedsItsExitCodeAndItsReason) {
    const PlannedCase planned = parity_case();
    expect_judged(judge(planned, exited(77, {Skip{"no CUDA device is visible"}}), kToday), Verdict::kSkip,
                  "no CUDA device is visible");
    expect_judged(judge(planned, exited(0, {mae(0), Skip{"no GPU"}}), kToday), Verdict::kSkip, "no GPU");
    expect_judged(judge(planned, exited(77), kToday), Verdict::kError, "exit code 77");
    expect_judged(judge(planned, exited(1, {Skip{"no GPU"}}), kToday), Verdict::kError, "exit code 1");
    expect_judged(judge(command_case(), exited(77, {Skip{"x"}}), kToday), Verdict::kFail, "exit code 77");
}

TEST(JudgeTest, ASkipDoesNotHideAGateThatFailedBefore) {
    const CaseJudgement judgement = judge(parity_case(), exited(0, {mae(1), Skip{"the rest"}}), kToday);
    EXPECT_EQ(judgement.verdict, Verdict::kFail);
    EXPECT_NE(judgement.reason.find("then skipped: the rest"), std::string::npos) << judgement.reason;
}

TEST(JudgeTest, ACommandIsJudgedByItsExitCodeFirst) {
    expect_judged(judge(command_case(), exited(0), kToday), Verdict::kPass, "");
    expect_judged(judge(command_case(), exited(3), kToday), Verdict::kFail, "exit code 3");
}

TEST(JudgeTest, APassingCommandStillNeedsItsChecks) {
    PlannedCase planned = command_case();
    planned.checks = {{"c", FiniteCheck{{"ms"}}, Level::kGate, ""}};
    expect_judged(judge(planned, exited(0), kToday), Verdict::kError, "no samples of ms");
}

TEST(JudgeTest, CrashesAreErrorsWithTheirSignal) {
    expect_judged(judge(parity_case(), ended(EndKind::kSignalled, "", SIGSEGV), kToday), Verdict::kError,
                  "killed by signal 11 (SIGSEGV)");
    expect_judged(judge(command_case(), ended(EndKind::kSignalled, "", SIGFPE), kToday), Verdict::kError,
                  "killed by signal 8 (SIGFPE)");
    CaseOutcome dumped = ended(EndKind::kSignalled, "", SIGABRT);
    dumped.end->core_dumped = true;
    expect_judged(judge(parity_case(), dumped, kToday), Verdict::kError,
                  "killed by signal 6 (SIGABRT), core dumped");
    expect_judged(judge(parity_case(), exited(1), kToday), Verdict::kError, "exit code 1");
}

TEST(JudgeTest, ACrashDoesNotHideAFailureThatWasMeasuredBefore) {
    expect_judged(judge(parity_case(), exited(1, {mae(std::nan(""))}), kToday), Verdict::kFail,
                  "mae nan is not <= 0.0002, then exit code 1");
    expect_judged(judge(parity_case(), exited(1, {mae(0)}), kToday), Verdict::kError, "exit code 1");
}

TEST(JudgeTest, ALimitIsATimeoutWhateverElse) {
    expect_judged(judge(command_case(), ended(EndKind::kTimedOut, "4 h"), kToday), Verdict::kTimeout,
                  "hit its time limit: 4 h");
    expect_judged(judge(command_case(), ended(EndKind::kSilent, "15 min"), kToday), Verdict::kTimeout,
                  "silent for too long: 15 min");
}

TEST(JudgeTest, WhatNeverStartedIsInfrastructure) {
    const CaseJudgement judgement =
        judge(parity_case(), ended(EndKind::kNotStarted, "nsa-core: not found"), kToday);
    expect_judged(judgement, Verdict::kError, "could not be started: nsa-core: not found");
    EXPECT_TRUE(judgement.infrastructure);
    EXPECT_TRUE(judge(parity_case(), {}, kToday).infrastructure);
}

TEST(JudgeTest, AnInfrastructureFailureOutranksWhatTheCaseSaid) {
    CaseOutcome outcome = exited(0, {mae(0)});
    outcome.infrastructure = "the host rebooted";
    const CaseJudgement judgement = judge(parity_case(), outcome, kToday);
    expect_judged(judgement, Verdict::kError, "the host rebooted");
    EXPECT_TRUE(judgement.infrastructure);
    EXPECT_EQ(status_of({judgement.gate()}, false), Status::kInfrastructure);
}

TEST(JudgeTest, BlockedAndCancelledSayWhy) {
    CaseOutcome blocked;
    blocked.blocked_by = CaseKey{"a[S=1]"};
    expect_judged(judge(parity_case(), blocked, kToday), Verdict::kBlocked,
                  "needs a[S=1], which did not pass");
    CaseOutcome cancelled;
    cancelled.run_cancelled = true;
    expect_judged(judge(parity_case(), cancelled, kToday), Verdict::kCancelled,
                  "the run was cancelled before it started");
    expect_judged(judge(parity_case(), ended(EndKind::kCancelled), kToday), Verdict::kCancelled, "cancelled");
}

TEST(JudgeTest, AnotherRouteThanAskedIsAnErrorNeverAPass) {
    PlannedCase planned = parity_case();
    planned.route_asked = "fa2_dense";
    const auto took = [](const char* route) {
        return exited(0, {mae(0), Fact{"route_taken", route, {{"branch", "sliding"}}},
                          Fact{"route_reason", "fp32 tensors", {{"branch", "sliding"}}}});
    };
    EXPECT_EQ(judge(planned, took("fa2_dense"), kToday).verdict, Verdict::kPass);
    expect_judged(judge(planned, took("sdpa"), kToday), Verdict::kError,
                  "route fa2_dense was asked, sdpa was taken: fp32 tensors");
    expect_judged(judge(planned, exited(0, {mae(0)}), kToday), Verdict::kError,
                  "route fa2_dense was asked, no route_taken fact says that it ran");
    planned.route_asked = "auto";
    EXPECT_EQ(judge(planned, took("sdpa"), kToday).verdict, Verdict::kPass);
}

TEST(JudgeTest, ResultsThatCannotBeReadAreAnError) {
    CaseOutcome outcome = exited(0, {mae(0)});
    outcome.record_errors = {"line 7: not JSON"};
    expect_judged(judge(parity_case(), outcome, kToday), Verdict::kError,
                  "results could not be read: line 7: not JSON");
}

PlannedCase waived(const char* expires) {
    PlannedCase planned = parity_case();
    planned.xfail = Waiver{"anna", "issue 12", expires};
    return planned;
}

TEST(WaiverTest, AForetoldFailureIsXfailThroughItsLastDay) {
    for (const char* expires : {"2026-11-23", "2027-01-01"}) {
        const CaseJudgement judgement = judge(waived(expires), exited(0, {mae(1)}), kToday);
        expect_judged(judgement, Verdict::kXfail,
                      "mae 1 > 0.0002 (waived by anna until " + std::string(expires) + ": issue 12)");
    }
}

TEST(WaiverTest, AWaivedCaseThatPassesIsXpass) {
    expect_judged(judge(waived("2027-01-01"), exited(0, {mae(0)}), kToday), Verdict::kXpass,
                  "passed although waived by anna until 2027-01-01: issue 12");
}

TEST(WaiverTest, AnExpiredWaiverIsAPlainFailThatSaysSo) {
    expect_judged(judge(waived("2026-11-22"), exited(0, {mae(1)}), kToday), Verdict::kFail,
                  "mae 1 > 0.0002 (waiver by anna expired on 2026-11-22)");
    EXPECT_EQ(judge(waived("2026-11-22"), exited(0, {mae(0)}), kToday).verdict, Verdict::kPass);
}

TEST(WaiverTest, CoversAFailureOnlyNotACrashATimeoutOrASkip) {
    EXPECT_EQ(judge(waived("2027-01-01"), ended(EndKind::kSignalled, "", SIGSEGV), kToday).verdict,
              Verdict::kError);
    EXPECT_EQ(judge(waived("2027-01-01"), ended(EndKind::kTimedOut), kToday).verdict, Verdict::kTimeout);
    EXPECT_EQ(judge(waived("2027-01-01"), exited(77, {Skip{"x"}}), kToday).verdict, Verdict::kSkip);
}

TEST(WarmUpTest, IsSkippedHoweverItEnded) {
    const PlannedCase warmup = warmup_case();
    expect_judged(judge(warmup, exited(0, {mae(1)}), kToday), Verdict::kSkip, "a warm-up is not judged");
    expect_judged(judge(warmup, exited(3), kToday), Verdict::kSkip, "a warm-up is not judged; exit code 3");
    EXPECT_EQ(judge(warmup, ended(EndKind::kTimedOut), kToday).verdict, Verdict::kSkip);
    EXPECT_EQ(judge(warmup, ended(EndKind::kSignalled, "", SIGSEGV), kToday).verdict, Verdict::kSkip);
}

TEST(WarmUpTest, TellsOfACancelAndOfASystemThatFailedIt) {
    const PlannedCase warmup = warmup_case();
    EXPECT_EQ(judge(warmup, ended(EndKind::kCancelled), kToday).verdict, Verdict::kCancelled);
    const CaseJudgement failed = judge(warmup, ended(EndKind::kNotStarted, "no such program"), kToday);
    EXPECT_EQ(failed.verdict, Verdict::kError);
    EXPECT_TRUE(failed.infrastructure);
}

TEST(WaiverTest, CoversAFailingExitCode) {
    PlannedCase planned = command_case();
    planned.xfail = Waiver{"anna", "issue 12", "2027-01-01"};
    EXPECT_EQ(judge(planned, exited(1), kToday).verdict, Verdict::kXfail);
    EXPECT_EQ(judge(planned, exited(0), kToday).verdict, Verdict::kXpass);
}

}  // namespace
}  // namespace nsa::language
