// What a dead supervisor left: nobody else will end it, and a benchmark that runs on spoils the next one.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <vector>

#include "posix/identity.hpp"
#include "protocol/messages.hpp"
#include "serve/home.hpp"

namespace nsa::serve {

inline constexpr int kMostLooks = 400;  // through /proc, with pauses of 5 ms

// Looks and kills until a look finds nothing: one look misses what is amid an exec, and what was forked
// behind it. Answers with the last look, which is not empty when `kMostLooks` were not enough. `kill` is
// called for each look that found some.
boost::asio::awaitable<posix::EnvironmentScan> hunt(std::function<posix::EnvironmentScan()> look,
                                                    std::function<void(const std::vector<pid_t>&)> kill);

// Kills every process that carries the run's directory in its environment. supervisor.log says whom, and who
// is left. `home` outlives the awaitable.
boost::asio::awaitable<void> kill_orphans(const Home& home, protocol::RunKey run);

}  // namespace nsa::serve
