// The cases of a run, in order: each is blocked by what it needs, or run, recorded and judged.
#pragma once

#include <sys/types.h>

#include <set>

#include "runner/run_context.hpp"

namespace nsa::runner {

// services: processes of the setup that no case's end touches.
void run_cases(RunContext& run, const std::set<pid_t>& services);

}  // namespace nsa::runner
