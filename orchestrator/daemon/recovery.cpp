#include "daemon/recovery.hpp"

#include <algorithm>

namespace nsa::daemon {

using language::RunState;
using scheduler::Stored;

namespace {

// Rows of a run that waits for its retry show the attempt before it, which is over. (Rows of programs that
// did not record that yet: QUEUED and PROVISIONING say the same.)
Stored stored_of(const store::RunRow& row) {
    const bool waits = row.state == RunState::kQueued || row.state == RunState::kProvisioning;
    if (!row.attempt || waits || row.attempts_over >= row.attempt->attempt) return Stored::kNotBegun;
    return row.attempt->state == store::AttemptState::kLaunching ? Stored::kIntent : Stored::kLaunched;
}

scheduler::RunRestored unreadable_event(const store::RunRow& row, const Error& error) {
    scheduler::RunRestored event = restored_event(row, language::Plan{});
    event.unreadable = "its stored plan cannot be read: " + error.describe();
    return event;
}

}  // namespace

scheduler::RunSubmitted submitted_event(RunId run, const language::Plan& plan,
                                        const InstanceName& requested) {
    scheduler::RunSubmitted event;
    event.run = std::move(run);
    event.target = plan.target;
    if (!requested.empty()) event.target.instance = requested.value;
    event.limits = scheduler::limits_of(plan);
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
                   .lease = row.holds_lease ? row.instance : InstanceName{},
                   .over = row.attempts_over,
                   .retries = row.retries};
    return event;
}

Result<scheduler::RunRestored> restored_from(const store::RunRow& row,
                                             const Result<store::RunDocuments>& documents) {
    const bool missing = !documents && documents.error().code == ErrorCode::kNotFound;
    if (!documents && !missing) return documents.error();
    if (missing) return unreadable_event(row, documents.error());
    const Result<language::Plan> plan = language::plan_from_text(documents->plan_json);
    return plan ? restored_event(row, *plan) : unreadable_event(row, plan.error());
}

bool waits(const store::RunRow& row) {
    return stored_of(row) == Stored::kNotBegun;
}

void sort_for_adoption(std::vector<scheduler::RunRestored>& runs) {
    const auto rank = [](const scheduler::RunRestored& run) {
        if (run.stored != Stored::kNotBegun) return 0;
        return run.saved.lease.empty() ? 2 : 1;
    };
    std::stable_sort(runs.begin(), runs.end(),
                     [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
}

}  // namespace nsa::daemon
