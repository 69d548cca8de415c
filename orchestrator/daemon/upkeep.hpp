// What a daemon does for its own store while it runs: the reserve is taken back, backups are made.
#pragma once

#include "daemon/acts.hpp"

namespace nsa::daemon {

// Runs until it is cancelled; a copy under way is given up then. `copies`: a thread that may be busy for as
// long as a copy of the database takes.
boost::asio::awaitable<void> keep_store(Workplace& place, BlockingThread& copies);

}  // namespace nsa::daemon
