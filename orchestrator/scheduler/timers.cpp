#include <algorithm>

#include "scheduler/transitions.hpp"

namespace nsa::scheduler {

using language::Reason;

namespace {

std::string seconds_text(Duration limit) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit).count();
    return seconds > 0 ? std::to_string(seconds) + " s" : std::to_string(limit.count()) + " ms";
}

std::optional<Instant> earliest(const Run& run) {
    std::optional<Instant> first;
    if (run.phase == Phase::kQueued) first = run.queue_until;
    for (const std::optional<Instant>& timer :
         {run.until, run.wake, run.lost_at, run.silent_at, run.cancel_again, run.cancel_until}) {
        if (timer && (!first || *timer < *first)) first = timer;
    }
    return first;
}

// Takes the timer when it is due.
bool take(std::optional<Instant>& timer, Instant now) {
    if (!timer || *timer > now) return false;
    timer.reset();
    return true;
}

void phase_limit_passed(Context& c, Run& run) {
    switch (run.phase) {
        case Phase::kConnecting:
        case Phase::kStaging: {
            const Instance* instance = find_instance(c.state, run.instance);
            const bool failed = instance && instance->failures > 0;
            return conclude(c, run, failed ? instance->reason : Reason::kProvisionTimeout,
                            "instance " + run.instance.value + " was not ready within " +
                                seconds_text(run.limits.provision) +
                                (failed ? ": " + instance->message : ""));
        }
        case Phase::kAttached:
            run.overdue = true;
            run.message = "the worker let the limit of its " + std::string(run.in_setup ? "setup" : "steps") +
                          " pass; it is being stopped";
            return ask_stop(c, run);
        case Phase::kCollecting:
            return pull_gave_up(c, run, Reason::kPullTimeout,
                                "the limit of " + seconds_text(run.limits.pull) + " passed" +
                                    (run.message.empty() ? "" : "; last: " + run.message));
        case Phase::kQueued:
        case Phase::kLaunching:
        case Phase::kPublishing:
            return;
    }
}

void stop_was_not_confirmed(Context& c, Run& run) {
    conclude(c, run, Reason::kWorkerDied,
             "instance " + run.instance.value + " did not confirm within " +
                 seconds_text(c.state.policy.cancel_patience) +
                 " that its job ended; a job that is still alive there is ended as soon as it answers");
}

void became_lost(Context& c, Run& run) {
    run.lost = true;
    const Instance* instance = find_instance(c.state, run.instance);
    run.message = "the link to instance " + run.instance.value + " is gone; the job is presumed alive" +
                  (instance && !instance->message.empty() ? ": " + instance->message : "");
    if (!run.cancel_asked) return;
    conclude(c, run, Reason::kCancelledByUser,
             "cancelled while instance " + run.instance.value +
                 " did not answer; a job that is still alive there is ended when it does");
}

// The most decisive of the timers that are due.
void expire(Context& c, Run& run) {
    touch(c, run);
    if (take(run.cancel_until, c.now)) return stop_was_not_confirmed(c, run);
    if (run.phase == Phase::kQueued && take(run.queue_until, c.now)) {
        return conclude(c, run, Reason::kQueueTimeout,
                        "no instance within " + seconds_text(run.limits.queue) + "; " + run.message);
    }
    if (take(run.until, c.now)) return phase_limit_passed(c, run);
    if (take(run.lost_at, c.now)) return became_lost(c, run);
    if (take(run.silent_at, c.now)) {
        run.overdue = true;
        run.message = "the worker let the limit of a silent step pass; it is being stopped";
        return ask_stop(c, run);
    }
    if (take(run.cancel_again, c.now)) return ask_stop(c, run);
    if (take(run.wake, c.now)) resume(c, run);
}

}  // namespace

void disarm(State& state, Run& run) {
    if (run.armed) state.timers.erase({*run.armed, run.id});
    run.armed.reset();
}

void rearm(State& state, Run& run) {
    const std::optional<Instant> first = earliest(run);
    if (first == run.armed) return;
    disarm(state, run);
    if (first) state.timers.insert({*first, run.id});
    run.armed = first;
}

void tick(Context& c) {
    while (!c.state.timers.empty() && c.state.timers.begin()->first <= c.now) {
        Run* run = find_run(c.state, c.state.timers.begin()->second);
        expire(c, *run);
        rearm(c.state, *run);
    }
    for (auto& [name, instance] : c.state.instances) {
        if (instance.reconnect_at && *instance.reconnect_at <= c.now) connect(c, instance);
    }
}

std::optional<Instant> next_deadline(const State& state) {
    std::optional<Instant> first;
    if (!state.timers.empty()) first = state.timers.begin()->first;
    for (const auto& [name, instance] : state.instances) {
        if (instance.reconnect_at && (!first || *instance.reconnect_at < *first))
            first = instance.reconnect_at;
    }
    return first;
}

}  // namespace nsa::scheduler
