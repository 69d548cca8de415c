// The clocks, read at the edges only: everything that decides gets a time as argument.
#pragma once

#include <cstdint>
#include <string>

#include "scheduler/limits.hpp"

namespace nsa::daemon {

inline scheduler::Instant monotonic_now() {
    return std::chrono::steady_clock::now();
}

// UTC milliseconds since the epoch; recorded, never compared for a deadline.
std::int64_t wall_ms();

}  // namespace nsa::daemon
