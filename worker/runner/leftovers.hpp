// What a step left behind. The supervisor is the reaper of its descendants: a process that outlives its
// parent, even in a session of its own, becomes the supervisor's child.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <set>

namespace nsa::runner {

// Makes this process the reaper of its descendants.
void become_reaper();

std::set<pid_t> own_children();

// Kills the process group (0: none) and every child of ours that is not in `spared`, and reaps them; false
// when some are still there after `patience`. Costs two system calls when there is nothing.
bool kill_leftovers(pid_t group, const std::set<pid_t>& spared, std::chrono::milliseconds patience);

// Kills the group only: what moved to a session of its own was meant to stay.
void kill_group(pid_t group);

}  // namespace nsa::runner
