// The runs that a daemon takes over from its predecessor: read from the store, in the order in which the
// scheduler is to be told of them.
#pragma once

#include <vector>

#include "scheduler/event.hpp"
#include "store/store.hpp"

namespace nsa::daemon {

// Every run that is not DONE. One whose plan is damaged is among them, to be ended (RunRestored::unreadable);
// of those that wait that shows when it is their turn. An error: the store cannot be read right now.
Result<std::vector<scheduler::RunRestored>> runs_to_adopt(store::Store& store);

}  // namespace nsa::daemon
