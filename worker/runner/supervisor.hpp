// `nsa-worker run DIR`: takes a launched run directory from its plan to its exit record, whoever listens or
// dies.
#pragma once

#include <chrono>
#include <string>

#include "language/stop_times.hpp"
#include "posix/spawn.hpp"
#include "runner/collect.hpp"

namespace nsa::runner {

struct SupervisorOptions {
    std::string worker_version;
    posix::Environment host;  // the environment that steps inherit from (environment.hpp says what)
    language::Duration grace = language::kStopGrace;
    language::Duration kill_wait = language::kKillWait;
    std::chrono::milliseconds probe_deadline{10'000};
    CollectLimits collect;
};

// Blocks until the run is over. Errors mean that no record could be kept: the directory is not there, has run
// before (kConflict), another supervisor holds it, or its journal cannot be written.
Result<void> supervise(const std::string& directory, const SupervisorOptions& options);

}  // namespace nsa::runner
