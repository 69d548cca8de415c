// The time limits of a run, and those of the scheduler itself. Values.
#pragma once

#include <chrono>

#include "language/plan.hpp"

namespace nsa::scheduler {

// A reading of the monotonic clock, always an argument.
using Instant = std::chrono::steady_clock::time_point;
using Duration = language::Duration;

// Zero: no limit. Queue, provision and pull are the scheduler's own. Setup, run and silence are enforced by
// the worker on the host, where they hold with the link down; here they only catch a worker that does not.
struct Limits {
    Duration queue{}, provision{}, setup{}, run{}, silence{}, pull{};
    bool operator==(const Limits&) const = default;
};

// setup: of all setup commands together; run: the sum over all cases, each with the time that the worker may
// take to stop it; silence: the longest of any case. One case without a limit leaves the whole without one.
Limits limits_of(const language::Plan& plan);

struct Policy {
    Duration lost_grace{std::chrono::seconds{10}};      // link down so long before a run is shown as LOST
    Duration first_reconnect{std::chrono::seconds{1}};  // doubles with every failure
    Duration last_reconnect{std::chrono::seconds{60}};
    Duration cancel_patience{std::chrono::seconds{120}};  // TERM, grace and KILL on the host, and the answer
    Duration cancel_repeat{std::chrono::seconds{10}};
    Duration backstop_margin{std::chrono::seconds{120}};  // over the limits that the worker enforces
    int pull_tries = 3;     // of a pull that fails for another reason than the link
    int launch_tries = 10;  // of a launch that the host does not answer although its link is up
    int publish_tries = 5;  // of a publication that fails for another reason than a full or locked store
};

// How long to wait before the `failures`th new try (from 1). jitter in [0, 1) spreads a fleet's reconnects.
// Between first_reconnect and last_reconnect.
Duration reconnect_delay(const Policy& policy, int failures, double jitter);

}  // namespace nsa::scheduler
