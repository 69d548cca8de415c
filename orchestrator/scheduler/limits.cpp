#include "scheduler/limits.hpp"

#include <algorithm>
#include <cstdint>

#include "language/stop_times.hpp"

namespace nsa::scheduler {

Limits limits_of(const language::Plan& plan) {
    Limits limits{.queue = plan.timeouts.queue,
                  .provision = plan.timeouts.provision,
                  .setup = plan.timeouts.setup,
                  .run = {},
                  .silence = {},
                  .pull = plan.timeouts.pull};
    bool every_case_is_limited = true, every_case_may_be_silent = true;
    for (const language::PlannedCase& planned : plan.cases) {
        every_case_is_limited &= planned.timeout > Duration::zero();
        every_case_may_be_silent &= planned.silence > Duration::zero();
        limits.run += planned.timeout + language::kLongestStop;
        limits.silence = std::max(limits.silence, planned.silence);
    }
    if (!every_case_is_limited) limits.run = Duration::zero();
    if (!every_case_may_be_silent) limits.silence = Duration::zero();
    return limits;
}

Duration reconnect_delay(const Policy& policy, int failures, double jitter) {
    const int doublings = std::clamp(failures - 1, 0, 20);
    const Duration ceiling =
        std::min(policy.first_reconnect * (std::int64_t{1} << doublings), policy.last_reconnect);
    // Half of it fixed, half of it drawn: never at once, never all together.
    const auto drawn = std::chrono::duration<double, Duration::period>(ceiling) * (0.5 + 0.5 * jitter);
    return std::clamp(std::chrono::duration_cast<Duration>(drawn), policy.first_reconnect,
                      policy.last_reconnect);
}

}  // namespace nsa::scheduler
