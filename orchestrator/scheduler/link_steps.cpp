#include "scheduler/transitions.hpp"

namespace nsa::scheduler {

using language::Reason;

namespace {

// Waiting does not mend these; whoever named the instance is told at once.
bool is_final(Reason reason) {
    return reason == Reason::kHostKeyRefused || reason == Reason::kAuthRefused ||
           reason == Reason::kHostDiskFull || reason == Reason::kDeployFailed;
}

// Whatever was in flight over the link is void: its answer, if one comes, is refused.
void lose_act(Context& c, Run& run) {
    if (run.phase == Phase::kPublishing) return;  // needs no link
    run.act.reset();
    run.wake.reset();
    touch(c, run);
}

void holder_lost_link(Context& c, Run& run, Instance& instance) {
    lose_act(c, run);
    switch (run.phase) {
        case Phase::kConnecting:
        case Phase::kStaging:
            run.phase = Phase::kConnecting;
            run.message = instance.message;
            if (run.target.instance.empty()) {  // any instance would do: back to the queue, for another
                release(c, run);
                enqueue(c, run);
                return place(c, run);
            }
            if (is_final(instance.reason)) conclude(c, run, instance.reason, instance.message);
            return;
        case Phase::kLaunching:
        case Phase::kAttached:
            run.until = run.silent_at = run.cancel_again = std::nullopt;  // held on the host meanwhile
            if (!run.lost && !run.lost_at) run.lost_at = c.now + c.state.policy.lost_grace;
            return;
        case Phase::kCollecting:
            run.message = instance.message;
            return;
        case Phase::kQueued:
        case Phase::kPublishing:
            return;
    }
}

}  // namespace

void connect(Context& c, Instance& instance) {
    instance.link = Link::kConnecting;
    instance.reconnect_at.reset();
    c.acts.push_back(Connect{instance.name});
}

void instance_known(Context& c, const InstanceKnown& event) {
    const auto [entry, added] = c.state.instances.try_emplace(event.name);
    Instance& instance = entry->second;
    instance.name = event.name;
    instance.engine = event.engine;
    instance.facts = event.facts;
    instance.failures = 0;
    instance.reason = Reason::kNone;
    instance.message = added ? "" : "was registered anew";
    instance.link = Link::kDown;
    Run* holder = instance.lease ? find_run(c.state, instance.lease->run) : nullptr;
    if (holder && !added) holder_lost_link(c, *holder, instance);
    if (event.connect_now && instance.link != Link::kConnecting) connect(c, instance);
    if (!instance.lease) fill(c, instance);
}

void instance_probed(Context& c, const InstanceProbed& event) {
    Instance* instance = find_instance(c.state, event.name);
    if (!instance) return;
    instance->facts = event.facts;
    Run* holder = instance->lease ? find_run(c.state, instance->lease->run) : nullptr;
    if (holder && holder->phase == Phase::kConnecting) return resume(c, *holder);
    fill(c, *instance);
}

void connect_asked(Context& c, const ConnectAsked& event) {
    Instance* instance = find_instance(c.state, event.name);
    if (instance && (instance->link == Link::kDown || instance->link == Link::kRefused))
        connect(c, *instance);
}

void link_up(Context& c, const LinkUp& event) {
    Instance* instance = find_instance(c.state, event.name);
    if (!instance) return;
    instance->link = Link::kUp;
    instance->failures = 0;
    instance->reason = Reason::kNone;
    instance->message.clear();
    instance->reconnect_at.reset();
    instance->strays.clear();
    for (const auto& [id, attempt] : event.alive) {
        const Run* run = find_run(c.state, id);
        // Whichever instance it was given to: two names may lead to one host.
        const bool expected = run && run->attempt == attempt &&
                              (run->phase == Phase::kLaunching || run->phase == Phase::kAttached ||
                               run->phase == Phase::kCollecting);
        if (expected) continue;
        instance->strays.insert({id, attempt});
        c.acts.push_back(StopStray{id, attempt, event.name});
    }
    Run* holder = instance->lease ? find_run(c.state, instance->lease->run) : nullptr;
    if (!holder) return fill(c, *instance);
    touch(c, *holder);
    holder->lost_at.reset();
    holder->lost = false;
    if (holder->phase != Phase::kPublishing && !holder->cancel_asked && holder->phase != Phase::kCollecting) {
        holder->message.clear();
    }
    resume(c, *holder);
}

void link_down(Context& c, const LinkDown& event) {
    Instance* instance = find_instance(c.state, event.name);
    if (!instance) return;
    const bool refused = event.reason == Reason::kHostKeyRefused || event.reason == Reason::kAuthRefused;
    ++instance->failures;
    instance->reason = event.reason;
    instance->message = event.message;
    instance->link = refused ? Link::kRefused : Link::kDown;
    instance->reconnect_at.reset();
    if (!refused) {  // a refused key stays refused until a person acts
        instance->reconnect_at = c.now + reconnect_delay(c.state.policy, instance->failures, event.jitter);
    }
    Run* holder = instance->lease ? find_run(c.state, instance->lease->run) : nullptr;
    if (holder) holder_lost_link(c, *holder, *instance);
    if (!instance->lease) fill(c, *instance);
}

void stray_gone(Context& c, const StrayGone& event) {
    Instance* instance = find_instance(c.state, event.name);
    if (!instance || instance->strays.erase({event.run, event.attempt}) == 0) return;
    if (!instance->strays.empty()) return;
    Run* holder = instance->lease ? find_run(c.state, instance->lease->run) : nullptr;
    if (holder) return resume(c, *holder);
    fill(c, *instance);
}

}  // namespace nsa::scheduler
