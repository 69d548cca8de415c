// The scheduler's saves, written: many of them for one wait for the disk.
#pragma once

#include <span>
#include <vector>

#include "scheduler/action.hpp"
#include "store/store.hpp"

namespace nsa::daemon {

bool is_save(const scheduler::Action& action);

// The run that an action is about; empty for one about an instance.
RunId run_of(const scheduler::Action& action);

// All of them in one transaction, in order. Among the results: a save that the store refuses (kConflict,
// kNotFound: it knows better), and with it every later one of the same run. Any other error: nothing was
// written, the whole may be tried again.
Result<std::vector<Result<void>>> write_saves(store::Store& store, std::span<const scheduler::Action> saves,
                                              std::int64_t at_ms);

}  // namespace nsa::daemon
