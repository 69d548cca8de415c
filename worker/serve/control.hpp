// Requests that are one look or one act: what state a run is in, cancel, the list of runs.
#pragma once

#include <vector>

#include "protocol/messages.hpp"
#include "serve/home.hpp"

namespace nsa::serve {

// kUnknownRun when there is no such directory.
Result<protocol::RemoteState> run_state(const Home& home, const protocol::RunKey& run);

// Leaves a cancel file and tells the supervisor, when it is proven to be that process. With a dead
// supervisor: kills what is left of the run.
Result<protocol::CancelReply> cancel(const Home& home, const protocol::RunKey& run);

// Those that are not finished: first what runs, else by name. A directory that cannot be read is left out.
std::vector<protocol::RunListing> list_runs(const Home& home);

// Kills every process that carries the run's directory in its environment. For a run whose supervisor is
// dead: nobody else will, and a benchmark that runs on spoils the next one. supervisor.log says whom.
void kill_orphans(const Home& home, const protocol::RunKey& run);

}  // namespace nsa::serve
