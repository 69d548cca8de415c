// Inside of the scheduler: one Context per step; functions that change the state and note what must be done.
// References to runs and instances stay valid while a step does not erase them (std::map).
#pragma once

#include <string>
#include <vector>

#include "scheduler/scheduler.hpp"

namespace nsa::scheduler {

struct Context {
    State& state;
    Instant now;
    std::vector<RunId> touched = {};  // in order of first change: their saves and timers follow
    std::vector<Action> intents = {}, acts = {};
};

void touch(Context& c, const Run& run);
Run* find_run(State& state, const RunId& id);
Instance* find_instance(State& state, const InstanceName& name);
bool link_is_up(const State& state, const Run& run);
// The run of a ticket that is still in force; null for an answer that came too late.
Run* holder_of(State& state, const Ticket& ticket);

// A new act in flight for the run: its ticket.
Ticket new_act(Context& c, Run& run);
std::optional<Instant> after(Instant now, Duration limit);  // nothing when the limit is zero

// --- placement.cpp: who gets which instance
void enqueue(Context& c, Run& run);
void place(Context& c, Run& run);  // a queued run that may have become runnable
// After a restart: on the instance that its row holds, if any. Another one may be what the row of a run that
// is not restored yet holds, and the store would refuse it.
void place_again(Context& c, Run& run, const InstanceName& held);
// A run that ends before it began: its row holds this instance until that end is recorded, and until then it
// is nobody else's. Empty name: none.
void keep_lease(Context& c, Run& run, const InstanceName& name);
// A run that names its instance takes no other: on one that is known not to be what it asks for, it ends.
bool end_misfit(Context& c, Run& run, const Instance& instance);
bool waits_for_probe(const State& state, const Run& run,
                     const Instance& instance);  // to know whether it fits
void fill(Context& c, Instance& instance);       // an instance that may have become free
void release(Context& c, Run& run);              // gives its lease back; does not fill

// --- run_steps.cpp: the life of a run
void resume(Context& c, Run& run);  // starts the act of the run's phase, if it can be done now
void conclude(Context& c, Run& run, language::Reason reason, std::string message);
void ask_stop(Context& c, Run& run);  // tells the host to end it, and again until it did
void submitted(Context& c, const RunSubmitted& event);
void restored(Context& c, const RunRestored& event);
void cancel_asked(Context& c, const CancelAsked& event);
void staged(Context& c, const Staged& event);
void launched(Context& c, const Launched& event);
void progressed(Context& c, const Progress& event);
void published(Context& c, const Published& event);

// --- end_steps.cpp: how attempts end
void remote_ended(Context& c, const RemoteEnded& event);
void collected(Context& c, const Collected& event);
void act_failed(Context& c, const ActFailed& event);
void pull_gave_up(Context& c, Run& run, language::Reason reason, const std::string& why);

// --- link_steps.cpp: instances and their links
void connect(Context& c, Instance& instance);
void instance_known(Context& c, const InstanceKnown& event);
void instance_probed(Context& c, const InstanceProbed& event);
void connect_asked(Context& c, const ConnectAsked& event);
void link_up(Context& c, const LinkUp& event);
void link_down(Context& c, const LinkDown& event);
void stray_gone(Context& c, const StrayGone& event);

// --- timers.cpp
void rearm(State& state, Run& run);
void disarm(State& state, Run& run);
void tick(Context& c);

}  // namespace nsa::scheduler
