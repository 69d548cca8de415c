#include "daemon/recovery.hpp"

#include <gtest/gtest.h>

namespace nsa::daemon {
namespace {

using language::RunState;
using scheduler::Stored;
using store::AttemptState;

store::RunRow row_in(RunState state, std::optional<AttemptState> attempt = std::nullopt) {
    store::RunRow row;
    row.run = {"r-1"};
    row.state = state;
    if (attempt) {
        row.attempt.emplace();
        row.attempt->attempt = Attempt{2};
        row.attempt->state = *attempt;
        row.attempt->instance = {"a"};
    }
    return row;
}

TEST(Recovery, TheStoredAttemptSaysHowFarTheRunHadGone) {
    const std::vector<std::tuple<RunState, std::optional<AttemptState>, Stored>> rows = {
        {RunState::kQueued, std::nullopt, Stored::kNotBegun},
        {RunState::kProvisioning, std::nullopt, Stored::kNotBegun},
        {RunState::kStaging, std::nullopt, Stored::kNotBegun},
        {RunState::kQueued, AttemptState::kEnded, Stored::kNotBegun},  // waits for its retry
        {RunState::kProvisioning, AttemptState::kLaunched, Stored::kNotBegun},
        {RunState::kStaging, AttemptState::kLaunching, Stored::kIntent},
        {RunState::kLost, AttemptState::kLaunching, Stored::kIntent},
        {RunState::kRunning, AttemptState::kLaunched, Stored::kLaunched},
        {RunState::kLost, AttemptState::kLaunched, Stored::kLaunched},
        {RunState::kCollecting, AttemptState::kEnded, Stored::kLaunched},
    };
    for (const auto& [state, attempt, stored] : rows) {
        const scheduler::RunRestored event = restored_event(row_in(state, attempt), language::Plan{});
        EXPECT_EQ(event.stored, stored) << language::to_string(state);
        EXPECT_EQ(event.attempt, Attempt{attempt ? 2 : 0});
    }
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

}  // namespace
}  // namespace nsa::daemon
