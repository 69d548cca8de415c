// What a run directory says about its run, read from outside: never from memory, so that it holds after any
// restart of `serve`.
#pragma once

#include <cstdint>
#include <optional>

#include "language/event.hpp"
#include "protocol/messages.hpp"

namespace nsa::journal {

struct RunStatus {
    protocol::RemoteState state = protocol::RemoteState::kUnknownRun;
    std::uint64_t last_seq = 0;
    std::optional<language::RunStarted> supervisor;  // nothing: it has not started yet
};

// run_dir: descriptor of the run directory. The supervisor's identity can only be checked on the host that it
// runs on; started on another one (a shared file system, as under Slurm) it counts as running until its
// journal says otherwise, and somebody who can see that host has to tell.
Result<RunStatus> read_run_status(int run_dir);

}  // namespace nsa::journal
