// Locks of a run directory. The kernel drops them when their holder dies, however it dies.
#pragma once

#include "language/result.hpp"
#include "system/unique_fd.hpp"

namespace nsa::journal {

// Held as long as the descriptor lives (an open-file-description lock: not inherited by exec, not lost when
// another descriptor of the file is closed). kConflict: somebody else holds it.
Result<UniqueFd> try_lock(int run_dir, const char* name);

// Asks without taking it, so that asking never makes try_lock() fail.
bool is_locked(int run_dir, const char* name);

}  // namespace nsa::journal
