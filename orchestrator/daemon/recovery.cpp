#include "daemon/recovery.hpp"

#include <algorithm>

namespace nsa::daemon {

using language::RunState;
using scheduler::Stored;

namespace {

// Commands that building a tool on the host may add to the plan's setup (instances/core_build.cpp).
constexpr int kToolCommands = 5;

// QUEUED and PROVISIONING rows may show an earlier attempt, which is over.
Stored stored_of(const store::RunRow& row) {
    if (!row.attempt || row.state == RunState::kQueued || row.state == RunState::kProvisioning)
        return Stored::kNotBegun;
    return row.attempt->state == store::AttemptState::kLaunching ? Stored::kIntent : Stored::kLaunched;
}

}  // namespace

scheduler::RunSubmitted submitted_event(RunId run, const language::Plan& plan,
                                        const InstanceName& requested) {
    scheduler::RunSubmitted event;
    event.run = std::move(run);
    event.target = plan.target;
    if (!requested.empty()) event.target.instance = requested.value;
    const int tool_commands = plan.tools.empty() ? 0 : kToolCommands;
    event.limits = scheduler::limits_of(plan, static_cast<int>(plan.setup.size()) + tool_commands);
    event.retry = plan.retry;
    return event;
}

scheduler::RunRestored restored_event(const store::RunRow& row, const language::Plan& plan) {
    scheduler::RunRestored event;
    event.run = submitted_event(row.run, plan, row.requested_instance);
    event.attempt = row.attempt ? row.attempt->attempt : Attempt{0};
    event.stored = stored_of(row);
    if (row.attempt) event.instance = row.attempt->instance;
    event.cancel_asked = row.cancel_requested;
    const bool none_started = std::all_of(row.cases.begin(), row.cases.end(), [](const store::CaseRow& one) {
        return one.state == store::CaseState::kWaiting;
    });
    event.in_setup = none_started && !(plan.setup.empty() && plan.tools.empty());
    event.saved = {.state = row.state,
                   .reason = row.reason,
                   .message = row.message,
                   .lease = row.holds_lease ? row.instance : InstanceName{}};
    return event;
}

}  // namespace nsa::daemon
