// What the scheduler knows. Plain values: no clock, no randomness, no ids of its own making. The daemon keeps
// one State in memory and rebuilds it from the store's rows after a restart.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "language/ids.hpp"
#include "language/run_state.hpp"
#include "language/spec.hpp"
#include "scheduler/limits.hpp"

namespace nsa::scheduler {

// Fencing number of leases and acts: grows with every one. An answer that carries an older one is refused.
struct Epoch {
    std::uint64_t value = 0;
    auto operator<=>(const Epoch&) const = default;
};

// Names one act for one run; its answer brings the ticket back.
struct Ticket {
    RunId run;
    Attempt attempt;  // 0 before the first intent
    Epoch epoch;
    bool operator==(const Ticket&) const = default;
};

// Where a run is, finer than language::RunState.
enum class Phase {
    kQueued,
    kConnecting,  // holds a lease, its instance is not reachable yet
    kStaging,     // tools are being put on the host
    kLaunching,   // the intent is durable; the launch may or may not have reached the host
    kAttached,    // launched: the journal is being followed, or will be once the link is back
    kCollecting,  // ended on the host
    kPublishing,  // the outcome is decided; it is being written
};

// What the store has of a run: a save that would change nothing is left out.
struct Saved {
    language::RunState state = language::RunState::kQueued;
    language::Reason reason = language::Reason::kNone;
    std::string message;
    InstanceName lease;
    Attempt over{0};  // attempts up to this one are over: after a crash none of them is followed
    int retries = 0;
    bool operator==(const Saved&) const = default;
};

// How a try ended that was given up for the next one.
struct FailedTry {
    Attempt attempt{0};  // 0: it never came to a launch
    InstanceName instance;
    language::Reason reason = language::Reason::kNone;  // kNone: not known, after a restart
    std::string message;
    bool operator==(const FailedTry&) const = default;
};

struct Run {
    RunId id;
    std::uint64_t order = 0;  // of submission
    language::Target target;  // with the submitter's instance, if any
    Limits limits;
    language::Retry retry;

    Phase phase = Phase::kQueued;
    bool lost = false;      // phases kLaunching and kAttached: the link has been down longer than the grace
    bool in_setup = false;  // phase kAttached: no case has started
    bool whole = true;      // phase kCollecting: the worker finished by itself, so there is a manifest
    bool cancel_asked = false;
    bool overdue = false;   // the worker let a limit pass: it was told to stop
    bool launched = false;  // there is evidence of this attempt's run directory
    Attempt attempt{0};     // the latest with an intent; 0: none
    int retries = 0;
    FailedTry failed;  // the latest retry was spent on it
    int pull_failures = 0, act_failures = 0;
    bool bare = false;    // phase kPublishing: the end alone is recorded, without files and judgement
    std::string trouble;  // phase kPublishing: why it is not written yet
    language::Reason reason = language::Reason::kNone;  // how it ended on the host (from kCollecting on)
    std::string message;

    InstanceName instance;                      // leased; empty: none
    std::optional<Epoch> act;                   // in flight
    std::optional<Instant> queue_until, until;  // limit of the queue, and of the present phase
    std::optional<Instant> wake;                // when to try the phase's act again
    std::optional<Instant> lost_at;             // when it becomes LOST
    std::optional<Instant> silent_at;           // when the worker should have ended a silent case
    std::optional<Instant> cancel_again, cancel_until;
    std::optional<Instant> armed;  // its entry in State::timers
    Saved saved;
};

enum class Link { kDown, kConnecting, kUp, kRefused };

struct Lease {
    RunId run;
    Epoch epoch;
    bool operator==(const Lease&) const = default;
};

struct Instance {
    InstanceName name;
    language::EngineKind engine = language::EngineKind::kLocal;
    std::map<std::string, std::string> facts;  // of the last probe; empty: none yet
    Link link = Link::kDown;
    int failures = 0;                                   // connects in a row
    language::Reason reason = language::Reason::kNone;  // of the last failure
    std::string message;
    std::optional<Instant> reconnect_at;
    std::optional<Lease> lease;  // exclusive
    // Runs that ended in our books while their job may still be alive there. Nothing else starts meanwhile.
    std::set<std::pair<RunId, Attempt>> strays;
};

// Nothing when the host fits the target, else why not. Pure.
using Mismatch = std::optional<std::string> (*)(const language::Target& target,
                                                const std::map<std::string, std::string>& facts);

struct State {
    Policy policy;
    Mismatch mismatch = [](const language::Target&, const std::map<std::string, std::string>&) {
        return std::optional<std::string>{};
    };
    Epoch last_epoch;
    std::uint64_t last_order = 0;
    std::map<RunId, Run> runs;  // not DONE
    std::map<InstanceName, Instance> instances;
    // Queued runs in order of submission, by the instance they name; the empty name: any that fits.
    std::map<InstanceName, std::set<std::pair<std::uint64_t, RunId>>> queues;
    std::set<std::pair<Instant, RunId>> timers;  // at most one per run
};

// What people are shown.
language::RunState state_of(const Run& run);

}  // namespace nsa::scheduler
