// How an attempt ends: on the host, in the pull, or by failures of the acts themselves.
#include <algorithm>

#include "scheduler/transitions.hpp"

namespace nsa::scheduler {

using language::Reason;

namespace {

bool is_transient(const Error& error) {
    return error.code == ErrorCode::kUnreachable || error.code == ErrorCode::kTimeout;
}

void try_later(Context& c, Run& run, const std::string& why) {
    constexpr int kLongest = 10;  // seconds
    run.wake = c.now + std::chrono::seconds(std::min(run.act_failures, kLongest));
    run.message = why;
    touch(c, run);
}

Reason start_failure(const Error& error) {
    if (error.code == ErrorCode::kNoSpace) return Reason::kHostDiskFull;
    // A save that the store refused, or a plan that cannot be read: not the host's doing.
    const bool ours = error.code == ErrorCode::kConflict || error.code == ErrorCode::kCorrupt;
    return ours ? Reason::kInternal : Reason::kDeployFailed;
}

// Before or at the launch: what was refused stays refused; what was not answered is asked again, staging up
// to the limit of provisioning and a launch, whose intent has no limit, a few times. A job that one of them
// started all the same is ended as a stray.
void start_failed(Context& c, Run& run, const Error& error) {
    const bool again = run.phase == Phase::kStaging || run.act_failures < c.state.policy.launch_tries;
    if (is_transient(error) && again) return try_later(c, run, error.describe());
    const std::string times =
        is_transient(error) ? " (asked " + std::to_string(run.act_failures) + " times)" : "";
    conclude(c, run, start_failure(error), error.describe() + times);
}

// The outcome is decided; it is written as soon as the store takes it. What is no matter of waiting (a full
// disk, a locked file) is not tried for ever: then the end alone is recorded, and why.
void publish_failed(Context& c, Run& run, const Error& error) {
    constexpr int kLongest = 10;  // seconds
    const bool may_heal = is_transient(error) || error.code == ErrorCode::kNoSpace;
    // What is stored and cannot be read will not be better the next time.
    const bool hopeless =
        error.code == ErrorCode::kCorrupt || run.act_failures >= c.state.policy.publish_tries;
    if (!may_heal && !run.bare && hopeless) {
        run.bare = true;
        run.act_failures = 0;
        const std::string first = run.message.empty() ? "" : run.message + "; ";
        run.message = first + "its result could not be recorded: " + error.describe();
        if (run.reason != Reason::kCancelledByUser) run.reason = Reason::kInternal;
    }
    run.trouble = "its result is not recorded yet: " + error.describe();
    run.wake = c.now + std::chrono::seconds(std::min(run.act_failures, kLongest));
    touch(c, run);
}

void attach_failed(Context& c, Run& run, const Error& error) {
    constexpr int kUnreadable = 5;  // times that a journal is refused before the run is given up
    const bool may_heal = is_transient(error) || error.code == ErrorCode::kNoSpace;
    if (may_heal || run.act_failures < kUnreadable) return try_later(c, run, error.describe());
    conclude(c, run, Reason::kInternal, "its journal cannot be followed: " + error.describe());
}

void collect_failed(Context& c, Run& run, const Error& error) {
    // A full disk on this side is mended by people, within the limit of the pull.
    if (is_transient(error) || error.code == ErrorCode::kNoSpace) return try_later(c, run, error.describe());
    if (++run.pull_failures < c.state.policy.pull_tries) return try_later(c, run, error.describe());
    pull_gave_up(c, run, Reason::kPullFailed, error.describe());
}

struct HostOutcome {
    Reason reason = Reason::kCompleted;
    std::string message;
    bool whole = true;  // the worker ended by itself and left a manifest
};

HostOutcome outcome_of(const Run& run, const RemoteEnded& event) {
    switch (event.end) {
        case HostEnd::kFinished:
            return {Reason::kCompleted, event.detail, true};
        case HostEnd::kSetupFailed:
            return {Reason::kSetupFailed, event.detail, true};
        case HostEnd::kCancelled:
            if (run.overdue)
                return {Reason::kWorkerDied, "the worker let a limit pass and was stopped", true};
            return {Reason::kCancelledByUser, "cancelled", true};
        case HostEnd::kWorkerError:
            return {Reason::kWorkerDied, event.detail, true};
        case HostEnd::kHostDiskFull:
            return {Reason::kHostDiskFull, event.detail, true};
        case HostEnd::kSupervisorDead:
            return {Reason::kWorkerDied, "the worker's supervisor died: " + event.detail, false};
        case HostEnd::kHostRebooted:
            return {Reason::kHostRebooted, "the host was rebooted while it ran", false};
        case HostEnd::kUnknownRun:
            return {Reason::kWorkerDied, "its run directory is gone from the host", false};
    }
    return {Reason::kInternal, event.detail, false};
}

}  // namespace

void remote_ended(Context& c, const RemoteEnded& event) {
    Run* run = holder_of(c.state, event.ticket);
    if (!run || (run->phase != Phase::kAttached && run->phase != Phase::kLaunching)) return;
    run->act.reset();
    run->act_failures = 0;
    if (event.end == HostEnd::kUnknownRun && !run->launched) {
        run->phase = Phase::kLaunching;
        if (!run->cancel_asked) return resume(c, *run);  // the launch never reached the host
        run->phase = Phase::kStaging;                    // nothing of it is alive there
        return conclude(c, *run, Reason::kCancelledByUser, "cancelled before it started");
    }
    const HostOutcome outcome = outcome_of(*run, event);
    run->phase = Phase::kCollecting;
    run->lost = false;
    run->silent_at = run->lost_at = run->cancel_again = run->cancel_until = std::nullopt;
    run->reason = run->cancel_asked ? Reason::kCancelledByUser : outcome.reason;
    run->message = outcome.message;
    run->whole = outcome.whole;
    if (event.end == HostEnd::kUnknownRun) return conclude(c, *run, outcome.reason, outcome.message);
    run->until = after(c.now, run->limits.pull);
    resume(c, *run);
}

void collected(Context& c, const Collected& event) {
    Run* run = holder_of(c.state, event.ticket);
    if (!run || run->phase != Phase::kCollecting) return;
    run->act.reset();
    const Reason reason = run->reason;
    conclude(c, *run, reason, run->message);
}

void act_failed(Context& c, const ActFailed& event) {
    Run* run = holder_of(c.state, event.ticket);
    if (!run) return;
    run->act.reset();
    ++run->act_failures;
    switch (run->phase) {
        case Phase::kStaging:
            return start_failed(c, *run, event.error);
        case Phase::kLaunching:
            if (run->cancel_asked) return try_later(c, *run, event.error.describe());
            return start_failed(c, *run, event.error);
        case Phase::kAttached:
            return attach_failed(c, *run, event.error);
        case Phase::kCollecting:
            return collect_failed(c, *run, event.error);
        case Phase::kPublishing:
            return publish_failed(c, *run, event.error);
        case Phase::kQueued:
        case Phase::kConnecting:
            return;
    }
}

void pull_gave_up(Context& c, Run& run, Reason reason, const std::string& why) {
    const bool ended_well = run.reason == Reason::kCompleted || run.reason == Reason::kSetupFailed;
    const std::string text = "logs and artifacts did not all come home: " + why;
    if (ended_well) return conclude(c, run, reason, text);
    // The first cause stands.
    const Reason first = run.reason;
    conclude(c, run, first, run.message + "; " + text);
}

}  // namespace nsa::scheduler
