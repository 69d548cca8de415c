// Requests that are one look or one act: what state a run is in, cancel, the list of runs.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <vector>

#include "protocol/messages.hpp"
#include "serve/home.hpp"

namespace nsa::serve {

// kUnknownRun when there is no such directory.
Result<protocol::RemoteState> run_state(const Home& home, const protocol::RunKey& run);

// Leaves a cancel file and tells the supervisor, when it is proven to be that process. With a dead
// supervisor: kills what is left of the run. `home` outlives the awaitable.
boost::asio::awaitable<Result<protocol::CancelReply>> cancel(const Home& home, protocol::RunKey run);

// Those that are not finished: first what runs, else by name. A directory that cannot be read is left out.
std::vector<protocol::RunListing> list_runs(const Home& home);

}  // namespace nsa::serve
