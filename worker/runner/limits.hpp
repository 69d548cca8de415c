// When a step is told to stop, when it is killed, and when it is given up. Pure: time is an argument.
#pragma once

#include <chrono>
#include <optional>

#include "language/event.hpp"
#include "language/stop_times.hpp"

namespace nsa::runner {

using Instant = std::chrono::steady_clock::time_point;
using language::Duration;

struct Limits {
    Duration wall{};                           // zero: none
    Duration silence{};                        // longest time without a byte of output; zero: none
    Duration grace = language::kStopGrace;     // from SIGTERM to SIGKILL
    Duration kill_wait = language::kKillWait;  // from SIGKILL to giving up
};

enum class StopReason { kNone, kWall, kSilence, kCancel, kDiskFull };
enum class Action { kNone, kTerm, kKill, kGiveUp };

class LimitWatch {
  public:
    LimitWatch(const Limits& limits, Instant start) : limits_{limits}, start_{start}, last_output_{start} {}

    void saw_output(Instant at) { last_output_ = at; }
    // Asks for a stop from outside (cancel, full disk). The first reason stands.
    void stop(StopReason reason);

    // What to do now; each action is returned once, in the order kTerm, kKill, kGiveUp.
    Action step(Instant now);
    // step() has nothing to say before; nothing: not until stop() is called.
    std::optional<Instant> next() const;

    StopReason reason() const { return reason_; }

  private:
    enum class Stage { kRunning, kTold, kKilled, kGivenUp };

    StopReason due(Instant now) const;

    Limits limits_;
    Instant start_, last_output_;
    StopReason reason_ = StopReason::kNone;
    Stage stage_ = Stage::kRunning;
    Instant stage_since_{};
};

// From how the process ended and why it was stopped. A stop decides the kind, whatever the exit code: a
// program that catches SIGTERM and exits 0 has still hit its limit. wait_status: nothing when it survived
// SIGKILL.
language::ProcessEnd process_end(std::optional<int> wait_status, StopReason reason, const Limits& limits);

}  // namespace nsa::runner
