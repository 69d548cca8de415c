// What a daemon takes over from its predecessor: rows of the store, as the scheduler's events. Pure.
#pragma once

#include "language/plan.hpp"
#include "scheduler/event.hpp"
#include "store/rows.hpp"

namespace nsa::daemon {

// The spec's target, with the instance that the submitter named instead, if any.
scheduler::RunSubmitted submitted_event(RunId run, const language::Plan& plan, const InstanceName& requested);

scheduler::RunRestored restored_event(const store::RunRow& row, const language::Plan& plan);

// The same for a run whose plan is damaged: it keeps no lease for ever, it is ended and says why.
scheduler::RunRestored unreadable_event(const store::RunRow& row, const Error& error);

}  // namespace nsa::daemon
