// What a daemon takes over from its predecessor: rows of the store, as the scheduler's events. Pure.
#pragma once

#include <vector>

#include "language/plan.hpp"
#include "scheduler/event.hpp"
#include "store/rows.hpp"

namespace nsa::daemon {

// The spec's target, with the instance that the submitter named instead, if any.
scheduler::RunSubmitted submitted_event(RunId run, const language::Plan& plan, const InstanceName& requested);

scheduler::RunRestored restored_event(const store::RunRow& row, const language::Plan& plan);

// The same out of the stored plan. A run whose plan is damaged or missing keeps no lease for ever: it is
// ended and says why. What could not be read right now says nothing about the run: the error of the reading.
Result<scheduler::RunRestored> restored_from(const store::RunRow& row,
                                             const Result<store::RunDocuments>& documents);

// Whether nothing of it has begun, so that its outline says all that the scheduler asks of its plan.
bool waits(const store::RunRow& row);

// The order in which they are told to the scheduler: whoever is on an instance first, then whoever was given
// one, so that no run that waits, however old, is given an instance that is taken. Otherwise as they were
// submitted.
void sort_for_adoption(std::vector<scheduler::RunRestored>& runs);

}  // namespace nsa::daemon
