// A probe in a child process: the driver may hang for seconds, and pings must be answered meanwhile.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "protocol/messages.hpp"
#include "serve/home.hpp"

namespace nsa::serve {

// Runs `nsa-worker probe --json` of this binary. kTimeout: it was killed at its deadline. `home` outlives the
// awaitable.
boost::asio::awaitable<Result<protocol::ProbeReply>> probe_in_child(const Home& home);

}  // namespace nsa::serve
