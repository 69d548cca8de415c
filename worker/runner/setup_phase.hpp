// The setup of a run: its commands in order, under one time budget, up to the first that fails.
#pragma once

#include <sys/types.h>

#include <set>

#include "runner/run_context.hpp"

namespace nsa::runner {

// A command that fails is the run's end. Returns the processes that the setup left on purpose: services of
// the steps.
std::set<pid_t> run_setup(RunContext& run);

}  // namespace nsa::runner
