// The scheduler: a pure function of state, event and time. It leases one instance to one run, drives the run
// through its phases, and decides every race. The daemon performs what it returns and reports back.
//
//   QUEUED -> PROVISIONING -> STAGING -> (SETUP ->) RUNNING -> COLLECTING -> DONE
//                                  \________ LOST ________/   (link down; back when it is up again)
//
// Invariants, all tested by simulation: DONE is final; at most one launch takes effect per attempt; an
// instance holds at most one run; a lease ends with its run's publication or requeue; a cancelled run ends
// cancelled.
#pragma once

#include <optional>
#include <vector>

#include "scheduler/action.hpp"
#include "scheduler/event.hpp"
#include "scheduler/state.hpp"

namespace nsa::scheduler {

std::vector<Action> step(State& state, const Event& event, Instant now);

// When a Tick is due at the latest; nothing: only events can change anything.
std::optional<Instant> next_deadline(const State& state);

}  // namespace nsa::scheduler
