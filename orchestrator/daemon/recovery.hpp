// What a daemon takes over from its predecessor: rows of the store, as the scheduler's events. Pure.
#pragma once

#include "language/plan.hpp"
#include "scheduler/event.hpp"
#include "store/rows.hpp"

namespace nsa::daemon {

// The spec's target, with the instance that the submitter named instead, if any.
scheduler::RunSubmitted submitted_event(RunId run, const language::Plan& plan, const InstanceName& requested);

scheduler::RunRestored restored_event(const store::RunRow& row, const language::Plan& plan);

}  // namespace nsa::daemon
