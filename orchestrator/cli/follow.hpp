// Staying with a run until it is done.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "cli/console.hpp"
#include "cli/control.hpp"
#include "cli/invocation.hpp"

namespace nsa::cli {

enum class OnInterrupt {
    kLeave,           // the run goes on in the daemon: say so, exit 130
    kCancelOnSecond,  // this process is the daemon: the first Ctrl-C warns, the second cancels the run, a
                      // third leaves
};

struct FollowOptions {
    OnInterrupt on_interrupt = OnInterrupt::kLeave;
    std::optional<std::int64_t> timeout_ms;  // stop waiting after this long: exit 124
    Output output = Output::kTable;
    std::chrono::milliseconds retry{500};  // between attempts to reach a daemon that went away
};

// Shows the changes on err; when the run is done, its summary (or JSON) on out. Returns the exit code of the
// run's status. A daemon that goes away is waited for.
int follow(Control& control, const Console& console, const RunId& run, const FollowOptions& options);

}  // namespace nsa::cli
