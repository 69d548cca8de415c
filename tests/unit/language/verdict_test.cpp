// Every row of the verdict algebra and of the exit codes.
#include "language/verdict.hpp"

#include <gmock/gmock.h>

#include "language/judge.hpp"

namespace nsa::language {
namespace {

using enum Verdict;

GateOutcome gate(Verdict verdict) {
    return {verdict, false, false};
}
GateOutcome short_pass() {
    return {kPass, true, false};
}
GateOutcome infra_error() {
    return {kError, false, true};
}

struct Row {
    const char* name;
    std::vector<GateOutcome> gates;
    bool cancelled;
    Status status;
};

class StatusTest : public testing::TestWithParam<Row> {};

TEST_P(StatusTest, FollowsTheAlgebra) {
    const Row& row = GetParam();
    EXPECT_EQ(status_of(row.gates, row.cancelled), row.status)
        << to_string(status_of(row.gates, row.cancelled));
    std::vector<GateOutcome> reversed(row.gates.rbegin(), row.gates.rend());
    EXPECT_EQ(status_of(reversed, row.cancelled), row.status) << "the order of gates must not matter";
}

INSTANTIATE_TEST_SUITE_P(
    Algebra, StatusTest,
    testing::Values(
        Row{"no_gates_at_all", {}, false, Status::kNothingRan},
        Row{"all_pass", {gate(kPass), gate(kPass)}, false, Status::kPass},
        Row{"pass_and_foretold_failure", {gate(kPass), gate(kXfail)}, false, Status::kPass},
        // FAIL, XPASS and TIMEOUT win over everything.
        Row{"one_fail", {gate(kPass), gate(kFail)}, false, Status::kFail},
        Row{"one_xpass", {gate(kPass), gate(kXpass)}, false, Status::kFail},
        Row{"one_timeout", {gate(kPass), gate(kTimeout)}, false, Status::kFail},
        Row{"only_fail", {gate(kFail)}, false, Status::kFail},
        Row{"fail_beside_infrastructure", {infra_error(), gate(kFail)}, false, Status::kFail},
        Row{"fail_in_a_cancelled_run", {gate(kFail), gate(kCancelled)}, true, Status::kFail},
        // Anything else beside a PASS caps at PARTIAL PASS.
        Row{"pass_and_skip", {gate(kPass), gate(kSkip)}, false, Status::kPartialPass},
        Row{"pass_and_error", {gate(kPass), gate(kError)}, false, Status::kPartialPass},
        Row{"pass_and_infrastructure", {gate(kPass), infra_error()}, false, Status::kPartialPass},
        Row{"pass_and_no_reference", {gate(kPass), gate(kNoReference)}, false, Status::kPartialPass},
        Row{"pass_and_inconclusive", {gate(kPass), gate(kInconclusive)}, false, Status::kPartialPass},
        Row{"pass_and_blocked", {gate(kPass), gate(kBlocked)}, false, Status::kPartialPass},
        Row{"pass_and_cancelled_case", {gate(kPass), gate(kCancelled)}, false, Status::kPartialPass},
        Row{"pass_that_fell_short", {short_pass()}, false, Status::kPartialPass},
        Row{"pass_and_pass_that_fell_short", {gate(kPass), short_pass()}, false, Status::kPartialPass},
        // Without a PASS there is no verdict.
        Row{"only_infrastructure", {infra_error()}, false, Status::kInfrastructure},
        Row{"infrastructure_and_skip", {infra_error(), gate(kSkip)}, false, Status::kInfrastructure},
        Row{"infrastructure_and_inconclusive",
            {infra_error(), gate(kInconclusive)},
            false,
            Status::kInfrastructure},
        Row{"only_skip", {gate(kSkip), gate(kSkip)}, false, Status::kNothingRan},
        Row{"only_blocked", {gate(kBlocked)}, false, Status::kNothingRan},
        Row{"only_crash", {gate(kError)}, false, Status::kNothingRan},
        Row{"only_inconclusive", {gate(kInconclusive)}, false, Status::kInconclusive},
        Row{"only_no_reference", {gate(kNoReference), gate(kSkip)}, false, Status::kInconclusive},
        Row{"only_foretold_failures", {gate(kXfail)}, false, Status::kInconclusive},
        // Cancelled: no verdict unless something had failed by then.
        Row{"cancelled_before_anything", {}, true, Status::kCancelled},
        Row{"cancelled_after_a_pass", {gate(kPass), gate(kCancelled)}, true, Status::kCancelled},
        Row{"cancelled_with_infrastructure", {infra_error(), gate(kCancelled)}, true, Status::kCancelled}),
    [](const auto& row) { return row.param.name; });

TEST(ExitCodeTest, EachStatusHasItsDocumentedCode) {
    EXPECT_EQ(exit_code_of(Status::kPass), 0);
    EXPECT_EQ(exit_code_of(Status::kFail), 1);
    EXPECT_EQ(exit_code_of(Status::kPartialPass), 3);
    EXPECT_EQ(exit_code_of(Status::kInfrastructure), 4);
    EXPECT_EQ(exit_code_of(Status::kNothingRan), 5);
    EXPECT_EQ(exit_code_of(Status::kInconclusive), 6);
    EXPECT_EQ(exit_code_of(Status::kCancelled), 7);
    EXPECT_EQ(exit_code::kUsage, 2);
    EXPECT_EQ(exit_code::kNotFinished, 8);
    EXPECT_EQ(exit_code::kNotFound, 9);
    EXPECT_EQ(exit_code::kWaitExpired, 124);
    EXPECT_EQ(exit_code::kInterrupted, 130);
}

TEST(UnblocksTest, OnlyAPassOrAForetoldFailureLetsDependantsRun) {
    for (Verdict verdict : {kPass, kXfail})
        EXPECT_TRUE(unblocks(verdict)) << to_string(verdict);
    for (Verdict verdict :
         {kFail, kXpass, kSkip, kError, kTimeout, kNoReference, kInconclusive, kBlocked, kCancelled}) {
        EXPECT_FALSE(unblocks(verdict)) << to_string(verdict);
    }
}

}  // namespace
}  // namespace nsa::language
