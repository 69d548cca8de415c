// What happens to the scheduler. Values; whoever makes them has done the I/O.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "scheduler/state.hpp"

namespace nsa::scheduler {

// A run that is durable in the store.
struct RunSubmitted {
    RunId run;
    language::Target target;  // the submitter's instance, when given, replaces the spec's
    Limits limits;
    language::Retry retry;
};

// How far an attempt had gone when the daemon died.
enum class Stored { kNotBegun, kIntent, kLaunched };

// A run that a restarted daemon found not DONE. Timers start anew: the monotonic clock does not survive.
struct RunRestored {
    RunSubmitted run;
    Attempt attempt{0};
    Stored stored = Stored::kNotBegun;
    InstanceName instance;  // of that attempt
    bool cancel_asked = false;
    bool in_setup = false;        // no case of the attempt has started, and there is a setup
    std::string unreadable = {};  // why its plan cannot be read: it is ended at once; empty: it can
    Saved saved;                  // what its row says
};

struct CancelAsked {  // the wish is durable
    RunId run;
};

struct InstanceKnown {  // registered, registered anew with another way to reach it, or found at start
    InstanceName name;
    language::EngineKind engine = language::EngineKind::kLocal;
    std::map<std::string, std::string> facts;  // of an earlier probe
    bool connect_now = true;                   // false: when a run needs it
};
struct InstanceProbed {
    InstanceName name;
    std::map<std::string, std::string> facts;
};
struct ConnectAsked {  // somebody wants to know now
    InstanceName name;
};
struct LinkUp {
    InstanceName name;
    std::vector<std::pair<RunId, Attempt>> alive;  // jobs of ours that run there now
};
struct LinkDown {  // a connect failed, or the link is gone
    InstanceName name;
    language::Reason reason = language::Reason::kHostUnreachable;
    std::string message;
    double jitter = 0;  // in [0, 1)
};
struct StrayGone {
    InstanceName name;
    RunId run;
    Attempt attempt;
};

// Answers of acts.
struct Staged {
    Ticket ticket;
};
struct Launched {  // the answer is durable
    Ticket ticket;
    bool has_setup = false;
};
struct Progress {  // of an attached run: its events or logs grow
    Ticket ticket;
    bool case_started = false;
    bool fresh = true;  // false: what is at home already, told again at an attach
};
enum class HostEnd {
    kFinished,
    kSetupFailed,
    kCancelled,
    kWorkerError,
    kHostDiskFull,
    kSupervisorDead,
    kHostRebooted,
    kUnknownRun
};
struct RemoteEnded {
    Ticket ticket;
    HostEnd end = HostEnd::kFinished;
    std::string detail;
};
struct Collected {
    Ticket ticket;
};
struct Published {
    Ticket ticket;
};
struct ActFailed {  // also: a save that must come before it was refused, so it was not begun
    Ticket ticket;
    Error error;
};

struct Tick {};  // a deadline of next_deadline passed

using Event = std::variant<RunSubmitted, RunRestored, CancelAsked, InstanceKnown, InstanceProbed,
                           ConnectAsked, LinkUp, LinkDown, StrayGone, Staged, Launched, Progress, RemoteEnded,
                           Collected, Published, ActFailed, Tick>;

}  // namespace nsa::scheduler
