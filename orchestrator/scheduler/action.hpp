// What the scheduler wants done. Saves come first in every list and must be durable, in order, before the
// acts after them begin: intent before act. Acts may then run side by side; each answers with an event that
// carries its ticket. An act is given out again only when its answer says that it failed or its link went
// down.
#pragma once

#include <string>
#include <variant>

#include "scheduler/event.hpp"

namespace nsa::scheduler {

// --- saves ---
struct SaveRun {
    RunId run;
    language::RunState state = language::RunState::kQueued;
    language::Reason reason = language::Reason::kNone;
    std::string message;
    InstanceName lease;  // taken or kept with the save; empty: none
    Attempt over{0};     // attempts up to this one are over: after a crash none of them is followed
    int retries = 0;     // spent so far
    FailedTry failed{};  // the latest of them was spent on it
    bool operator==(const SaveRun&) const = default;
};
struct SaveIntent {  // the attempt is about to be launched
    RunId run;
    Attempt attempt;
    InstanceName instance;
    bool operator==(const SaveIntent&) const = default;
};

// --- acts ---
struct Connect {  // an older link of that instance is given up. Answer: LinkUp or LinkDown
    InstanceName instance;
    bool operator==(const Connect&) const = default;
};
struct Stage {  // put the tools there. Answer: Staged
    Ticket ticket;
    InstanceName instance;
    bool operator==(const Stage&) const = default;
};
struct Launch {  // idempotent on the host. Answer: Launched
    Ticket ticket;
    InstanceName instance;
    bool operator==(const Launch&) const = default;
};
struct Attach {  // follow the run until it is over. Answers: Progress..., RemoteEnded
    Ticket ticket;
    InstanceName instance;
    bool operator==(const Attach&) const = default;
};
struct StopRun {  // ask the host to end the run's processes; no answer, the attach sees the end
    RunId run;
    Attempt attempt;
    InstanceName instance;
    bool operator==(const StopRun&) const = default;
};
struct StopStray {  // the same, until it is gone. Answer: StrayGone
    RunId run;
    Attempt attempt;
    InstanceName instance;
    bool operator==(const StopStray&) const = default;
};
struct Collect {  // bring logs and artifacts home. Answer: Collected
    Ticket ticket;
    InstanceName instance;
    bool whole = true;  // false: the worker died; take what there is
    bool operator==(const Collect&) const = default;
};
struct Publish {  // judge and record, DONE. Answer: Published
    Ticket ticket;
    language::Reason reason = language::Reason::kCompleted;
    std::string message;
    bool bare = false;  // its files or its judgement cannot be recorded: the end alone, no verdict
    bool operator==(const Publish&) const = default;
};
struct Report {  // render; no answer
    RunId run;
    bool operator==(const Report&) const = default;
};

using Action = std::variant<SaveRun, SaveIntent, Connect, Stage, Launch, Attach, StopRun, StopStray, Collect,
                            Publish, Report>;

}  // namespace nsa::scheduler
