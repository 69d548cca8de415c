// kLaunch: makes the run directory and starts its supervisor, detached, at most once.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <vector>

#include "protocol/messages.hpp"
#include "serve/home.hpp"

namespace nsa::serve {

// How a supervisor is started: argv before the run directory.
using SupervisorCommand =
    std::vector<std::string>;  // {"nsa-worker", "run", ...}; the program is our own binary

// Answers once the supervisor's first event is durable. The directory is the lock: when it is there and its
// supervisor has started, whatever its state, nothing is started. A launch that died before that is taken up
// again. kConflict: a newer attempt of the run was launched here. Errors also: kTimeout, kNoSpace, kInternal
// with the supervisor's last words. `home` outlives the awaitable.
boost::asio::awaitable<Result<protocol::LaunchReply>> launch(const Home& home, protocol::Launch request,
                                                             SupervisorCommand command);

}  // namespace nsa::serve
