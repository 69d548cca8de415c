// The runs that a daemon takes over from its predecessor: read from the store, in the order in which the
// scheduler is to be told of them.
#pragma once

#include <vector>

#include "scheduler/event.hpp"
#include "store/store.hpp"

namespace nsa::daemon {

// Every run that is not DONE. One whose plan is damaged is among them, to be ended (RunRestored::unreadable).
// Plans are parsed by two threads: with ten thousand large ones that is what a restart takes its time for.
Result<std::vector<scheduler::RunRestored>> runs_to_adopt(store::Store& store);

}  // namespace nsa::daemon
