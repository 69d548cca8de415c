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
    const scheduler::RunRestored event = unreadable_event(row, fail(ErrorCode::kCorrupt, "it is no JSON"));
    EXPECT_NE(event.unreadable.find("it is no JSON"), std::string::npos);
    EXPECT_EQ(event.stored, Stored::kLaunched);
    EXPECT_EQ(event.instance, InstanceName{"a"});
    EXPECT_EQ(event.saved.lease, InstanceName{"a"});
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
