#include "daemon/recovery.hpp"

#include <gtest/gtest.h>

namespace nsa::daemon {
namespace {

using language::RunState;
using scheduler::Stored;
using store::AttemptState;

store::RunRow row_in(RunState state, std::optional<AttemptState> attempt = std::nullopt, int over = 0) {
    store::RunRow row;
    row.run = {"r-1"};
    row.state = state;
    row.attempts_over = Attempt{over};
    if (attempt) {
        row.attempt.emplace();
        row.attempt->attempt = Attempt{2};
        row.attempt->state = *attempt;
        row.attempt->instance = {"a"};
    }
    return row;
}

TEST(Recovery, TheStoredAttemptSaysHowFarTheRunHadGone) {
    const std::vector<std::tuple<RunState, std::optional<AttemptState>, int, Stored>> rows = {
        {RunState::kQueued, std::nullopt, 0, Stored::kNotBegun},
        {RunState::kProvisioning, std::nullopt, 0, Stored::kNotBegun},
        {RunState::kStaging, std::nullopt, 0, Stored::kNotBegun},
        {RunState::kStaging, AttemptState::kLaunching, 1, Stored::kIntent},
        {RunState::kStaging, AttemptState::kLaunched, 1, Stored::kLaunched},  // the save of RUNNING was lost
        {RunState::kLost, AttemptState::kLaunching, 1, Stored::kIntent},
        {RunState::kRunning, AttemptState::kLaunched, 1, Stored::kLaunched},
        {RunState::kLost, AttemptState::kLaunched, 1, Stored::kLaunched},
        {RunState::kCollecting, AttemptState::kEnded, 1, Stored::kLaunched},
        // A retry waits or is staged: whatever the attempt before it was, nobody follows that any more.
        {RunState::kQueued, AttemptState::kEnded, 2, Stored::kNotBegun},
        {RunState::kProvisioning, AttemptState::kLaunched, 2, Stored::kNotBegun},
        {RunState::kStaging, AttemptState::kLaunching, 2, Stored::kNotBegun},
        {RunState::kStaging, AttemptState::kLaunched, 2, Stored::kNotBegun},
        {RunState::kStaging, AttemptState::kEnded, 2, Stored::kNotBegun},
        // Rows of a program that did not record what is over.
        {RunState::kQueued, AttemptState::kEnded, 0, Stored::kNotBegun},
        {RunState::kProvisioning, AttemptState::kLaunched, 0, Stored::kNotBegun},
        {RunState::kRunning, AttemptState::kLaunched, 0, Stored::kLaunched},
    };
    for (const auto& [state, attempt, over, stored] : rows) {
        const scheduler::RunRestored event = restored_event(row_in(state, attempt, over), language::Plan{});
        EXPECT_EQ(event.stored, stored) << language::to_string(state) << " over " << over;
        EXPECT_EQ(event.attempt, Attempt{attempt ? 2 : 0});
        EXPECT_EQ(event.saved.over, Attempt{over});
    }
}

TEST(Recovery, ARunWhosePlanIsDamagedIsTakenOverToBeEnded) {
    store::RunRow row = row_in(RunState::kRunning, AttemptState::kLaunched, 1);
    row.instance = {"a"};
    row.holds_lease = true;
    const Result<store::RunDocuments> damaged = store::RunDocuments{"spec.yaml", "", "{\"version\": 1, "};
    const Result<store::RunDocuments> missing = fail(ErrorCode::kNotFound, "no such run", "run r-1");
    for (const auto& documents : {damaged, missing}) {
        const Result<scheduler::RunRestored> event = restored_from(row, documents);
        ASSERT_TRUE(event.has_value());
        EXPECT_NE(event->unreadable.find("its stored plan cannot be read"), std::string::npos);
        EXPECT_EQ(event->stored, Stored::kLaunched);
        EXPECT_EQ(event->instance, InstanceName{"a"});
        EXPECT_EQ(event->saved.lease, InstanceName{"a"});
    }
}

TEST(Recovery, APlanThatCannotBeReadRightNowEndsNoRun) {
    for (const ErrorCode code :
         {ErrorCode::kTimeout, ErrorCode::kNoSpace, ErrorCode::kCorrupt, ErrorCode::kInternal}) {
        const Result<store::RunDocuments> unread = fail(code, "the disk failed under it", "nsa.db");
        const auto event = restored_from(row_in(RunState::kRunning, AttemptState::kLaunched, 1), unread);
        ASSERT_FALSE(event.has_value()) << language::to_string(RunState::kRunning);
        EXPECT_EQ(event.error().code, code);
    }
}

TEST(Recovery, TheOutlineOfAPlanPlacesAndLimitsARunAsThePlanDoes) {
    language::Plan plan;
    plan.name = "campaign";
    plan.tools = {"nsa-core"};
    plan.setup.resize(3);
    plan.timeouts = {.queue = std::chrono::minutes(7), .setup = std::chrono::minutes(2)};
    plan.retry = {.on = {language::FailureClass::kInfra}, .max = 2};
    plan.target.gpu = "H200";
    plan.target.instance = "box";
    for (const int minutes : {3, 4}) {
        language::PlannedCase& planned = plan.cases.emplace_back();
        planned.key = {"case" + std::to_string(minutes)};
        planned.argv = {"/bin/true"};
        planned.timeout = std::chrono::minutes(minutes);
        planned.silence = std::chrono::minutes(1);
    }
    const store::NewRun run = store::new_run({"r-1"}, plan, "", "", 0);
    ASSERT_LT(run.outline_json.size(), run.plan_json.size());
    const auto outline = language::plan_from_text(run.outline_json);
    ASSERT_TRUE(outline.has_value()) << outline.error().describe();
    const store::RunRow row = row_in(RunState::kQueued);
    const scheduler::RunRestored whole = restored_event(row, plan), brief = restored_event(row, *outline);
    EXPECT_EQ(brief.run.target, whole.run.target);
    EXPECT_EQ(brief.run.limits, whole.run.limits);
    EXPECT_GE(brief.run.limits.run, std::chrono::minutes(7));
    EXPECT_EQ(brief.run.retry, whole.run.retry);
    EXPECT_EQ(brief.in_setup, whole.in_setup);
}

TEST(Recovery, ARunIsInSetupOnlyWhenThereIsASetupAndNoCaseStarted) {
    language::Plan plan;
    store::RunRow row = row_in(RunState::kRunning, AttemptState::kLaunched);
    row.cases.resize(2);
    EXPECT_FALSE(restored_event(row, plan).in_setup);
    plan.setup.emplace_back();
    EXPECT_TRUE(restored_event(row, plan).in_setup);
    row.cases[0].state = store::CaseState::kRunning;
    EXPECT_FALSE(restored_event(row, plan).in_setup);
}

TEST(Recovery, TheSubmittersInstanceReplacesTheSpecs) {
    language::Plan plan;
    plan.target.instance = "from-spec";
    EXPECT_EQ(submitted_event({"r"}, plan, {}).target.instance, "from-spec");
    EXPECT_EQ(submitted_event({"r"}, plan, {"asked"}).target.instance, "asked");
}

TEST(Recovery, ALeaseIsOnlyShownAsHeldWhenTheRowHoldsIt) {
    store::RunRow row = row_in(RunState::kQueued, AttemptState::kEnded);
    row.instance = {"a"};
    EXPECT_TRUE(restored_event(row, {}).saved.lease.empty());
    row.holds_lease = true;
    EXPECT_EQ(restored_event(row, {}).saved.lease, InstanceName{"a"});
}

TEST(Recovery, WhoeverIsOnAnInstanceIsToldBeforeAnOlderRunThatWaits) {
    const auto run = [](const char* id, Stored stored, const char* lease) {
        scheduler::RunRestored event;
        event.run.run = {id};
        event.stored = stored;
        event.saved.lease = {lease};
        return event;
    };
    std::vector<scheduler::RunRestored> runs = {
        run("waits", Stored::kNotBegun, ""), run("connects", Stored::kNotBegun, "a"),
        run("waits too", Stored::kNotBegun, ""), run("runs", Stored::kLaunched, "b"),
        run("starts", Stored::kIntent, "c")};
    sort_for_adoption(runs);
    std::vector<std::string> order;
    for (const scheduler::RunRestored& one : runs)
        order.push_back(one.run.run.value);
    EXPECT_EQ(order, (std::vector<std::string>{"runs", "starts", "connects", "waits", "waits too"}));
}

}  // namespace
}  // namespace nsa::daemon
