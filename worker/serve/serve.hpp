// `nsa-worker serve`: the protocol on stdin and stdout. Its end, however it comes, never touches a run.
#pragma once

#include <chrono>
#include <string>

#include "language/result.hpp"
#include "serve/launch.hpp"

namespace nsa::serve {

struct ServeOptions {
    std::string home;              // absolute
    std::string version;           // of this worker
    SupervisorCommand supervisor;  // how a run is started
    // Without a byte from the client for so long (Session::alive_at), it is taken for gone.
    std::chrono::milliseconds client_silence{300'000};
};

// Blocks until stdin ends or the client is gone. Errors: the home cannot be used, stdin is no pipe or socket,
// the client broke the framing, or it was silent for client_silence (kTimeout).
Result<void> serve(ServeOptions options);

}  // namespace nsa::serve
