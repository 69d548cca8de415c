#include <algorithm>

#include "scheduler/failure.hpp"
#include "scheduler/transitions.hpp"

namespace nsa::scheduler {

using language::Reason;

namespace {

Run& add_run(Context& c, const RunSubmitted& submitted) {
    Run& run = c.state.runs[submitted.run];
    run.id = submitted.run;
    run.order = ++c.state.last_order;
    run.target = submitted.target;
    run.limits = submitted.limits;
    run.retry = submitted.retry;
    run.queue_until = after(c.now, run.limits.queue);
    return run;
}

// The limits that the worker enforces, watched from here with a margin.
void watch_limits(Context& c, Run& run) {
    const Duration limit = run.in_setup ? run.limits.setup : run.limits.run;
    const Duration margin = c.state.policy.backstop_margin;
    run.until = limit > Duration::zero() ? after(c.now, limit + margin) : std::nullopt;
    run.silent_at =
        run.limits.silence > Duration::zero() ? after(c.now, run.limits.silence + margin) : std::nullopt;
}

void attach(Context& c, Run& run) {
    // Attaching again after a failure does not move a limit that is watched already.
    if (run.phase == Phase::kAttached && !run.until) watch_limits(c, run);
    const Ticket ticket = new_act(c, run);
    c.acts.push_back(Attach{ticket, run.instance});
    if (run.phase == Phase::kAttached && (run.cancel_asked || run.overdue)) ask_stop(c, run);
}

// Without its plan nothing can be judged: the end alone is recorded.
void give_up_unreadable(Context& c, Run& run, const std::string& why) {
    run.bare = true;
    conclude(c, run, Reason::kInternal, why);
}

// A job that our books give up while it may be alive: it must be gone before the next one starts there.
void leave_stray(Context& c, const Run& run) {
    Instance* instance = find_instance(c.state, run.instance);
    if (!instance) return;
    instance->strays.insert({run.id, run.attempt});
    if (instance->link == Link::kUp) c.acts.push_back(StopStray{run.id, run.attempt, instance->name});
}

}  // namespace

void resume(Context& c, Run& run) {
    if (run.act) return;
    if (run.phase == Phase::kPublishing) {
        const Ticket ticket = new_act(c, run);
        c.acts.push_back(Publish{ticket, run.reason, run.message, run.bare});
        return;
    }
    if (run.phase == Phase::kQueued || !link_is_up(c.state, run)) return;
    const Instance& instance = *find_instance(c.state, run.instance);
    switch (run.phase) {
        case Phase::kConnecting:
        case Phase::kStaging: {
            if (end_misfit(c, run, instance)) return;
            if (waits_for_probe(c.state, run, instance)) {
                run.message = "waits for the first probe of instance " + run.instance.value;
                return touch(c, run);
            }
            if (!instance.strays.empty()) {
                run.message = "waits for an older job on instance " + run.instance.value + " to end";
                return touch(c, run);
            }
            run.phase = Phase::kStaging;
            const Ticket ticket = new_act(c, run);
            c.acts.push_back(Stage{ticket, run.instance});
            return;
        }
        case Phase::kLaunching: {
            if (run.cancel_asked) return attach(c, run);  // only to see whether it ever started
            const Ticket ticket = new_act(c, run);
            c.acts.push_back(Launch{ticket, run.instance});
            return;
        }
        case Phase::kAttached:
            return attach(c, run);
        case Phase::kCollecting: {
            const Ticket ticket = new_act(c, run);
            c.acts.push_back(Collect{ticket, run.instance, run.whole});
            return;
        }
        case Phase::kQueued:
        case Phase::kPublishing:
            return;
    }
}

void conclude(Context& c, Run& run, Reason reason, std::string message) {
    const bool may_be_alive = run.phase == Phase::kLaunching || run.phase == Phase::kAttached;
    if (may_be_alive) leave_stray(c, run);
    if (!run.cancel_asked && may_retry(run.retry, reason, run.retries)) {
        ++run.retries;
        const bool begun = run.phase == Phase::kCollecting || may_be_alive;
        run.failed = {begun ? run.attempt : Attempt{0}, run.instance, reason, message};
        Instance* instance = find_instance(c.state, run.instance);
        release(c, run);
        enqueue(c, run);
        run.reason = Reason::kNone;
        run.queue_until = after(c.now, run.limits.queue);
        place(c, run);
        if (run.phase == Phase::kQueued || run.phase == Phase::kConnecting) {
            run.message = "retry " + std::to_string(run.retries) + " of " + std::to_string(run.retry.max) +
                          " after " + std::string(language::to_string(reason)) + ": " + message;
        }
        if (instance) fill(c, *instance);
        return;
    }
    if (run.phase == Phase::kQueued) release(c, run);  // out of its queue
    // The lease is given back with the publication: the store holds both in one transaction.
    run.phase = Phase::kPublishing;
    run.lost = false;
    run.reason = run.cancel_asked ? Reason::kCancelledByUser : reason;
    run.message = std::move(message);
    run.queue_until = run.until = run.silent_at = run.lost_at = std::nullopt;
    run.cancel_again = run.cancel_until = run.wake = std::nullopt;
    run.act.reset();
    run.act_failures = 0;
    resume(c, run);
}

void ask_stop(Context& c, Run& run) {
    c.acts.push_back(StopRun{run.id, run.attempt, run.instance});
    run.cancel_again = c.now + c.state.policy.cancel_repeat;
    if (!run.cancel_until) run.cancel_until = c.now + c.state.policy.cancel_patience;
    touch(c, run);
}

void submitted(Context& c, const RunSubmitted& event) {
    if (find_run(c.state, event.run)) return;  // a repeated submission of a run that is known
    Run& run = add_run(c, event);
    enqueue(c, run);
    place(c, run);
}

void restored(Context& c, const RunRestored& event) {
    Run& run = add_run(c, event.run);
    run.saved = event.saved;
    run.attempt = event.attempt;
    run.retries = std::max(event.saved.retries, event.attempt.value - 1);
    run.cancel_asked = event.cancel_asked;
    touch(c, run);
    if (event.stored == Stored::kNotBegun) {
        enqueue(c, run);
        if (run.cancel_asked || !event.unreadable.empty()) keep_lease(c, run, event.saved.lease);
        if (run.cancel_asked)
            return conclude(c, run, Reason::kCancelledByUser, "cancelled before it started");
        if (!event.unreadable.empty()) return give_up_unreadable(c, run, event.unreadable);
        return place_again(c, run, event.saved.lease);
    }
    Instance* instance = find_instance(c.state, event.instance);
    if (!instance || instance->lease) {
        return conclude(
            c, run, instance ? Reason::kInternal : Reason::kInstanceMissing,
            "it ran on instance " + event.instance.value +
                (instance ? ", which two runs claim to hold" : ", which is not registered any more"));
    }
    instance->lease = Lease{run.id, Epoch{++c.state.last_epoch.value}};
    run.instance = instance->name;
    run.launched = event.stored == Stored::kLaunched;
    run.phase = run.launched ? Phase::kAttached : Phase::kLaunching;
    if (!event.unreadable.empty()) return give_up_unreadable(c, run, event.unreadable);
    run.in_setup = event.in_setup;
    run.lost = true;
    run.message = "the daemon was restarted and asks instance " + run.instance.value + " for it";
    if (run.cancel_asked) run.cancel_until = c.now + c.state.policy.cancel_patience;
    if (instance->link != Link::kUp) return;
    run.lost = false;
    run.message.clear();
    resume(c, run);
}

void cancel_asked(Context& c, const CancelAsked& event) {
    Run* run = find_run(c.state, event.run);
    if (!run || run->cancel_asked || run->phase == Phase::kPublishing) return;
    run->cancel_asked = true;
    touch(c, *run);
    switch (run->phase) {
        case Phase::kQueued:
        case Phase::kConnecting:
        case Phase::kStaging:
            return conclude(c, *run, Reason::kCancelledByUser, "cancelled before it started");
        case Phase::kLaunching:
        case Phase::kAttached:
            run->message = "is being cancelled";
            if (run->lost) {
                return conclude(c, *run, Reason::kCancelledByUser,
                                "cancelled while instance " + run->instance.value +
                                    " did not answer; a job that is still alive there is ended when it does");
            }
            if (run->phase == Phase::kAttached && link_is_up(c.state, *run)) return ask_stop(c, *run);
            run->cancel_until = c.now + c.state.policy.cancel_patience;
            return;
        case Phase::kCollecting:
        case Phase::kPublishing:
            return;  // it has ended by itself; what it left still comes home
    }
}

void staged(Context& c, const Staged& event) {
    Run* run = holder_of(c.state, event.ticket);
    if (!run || run->phase != Phase::kStaging) return;
    run->act.reset();
    run->act_failures = 0;
    run->phase = Phase::kLaunching;
    run->until.reset();  // from the intent on only evidence decides
    run->message.clear();
    run->attempt = Attempt{run->attempt.value + 1};
    c.intents.push_back(SaveIntent{run->id, run->attempt, run->instance});
    resume(c, *run);
}

void launched(Context& c, const Launched& event) {
    Run* run = holder_of(c.state, event.ticket);
    if (!run || run->phase != Phase::kLaunching) return;
    run->act.reset();
    run->act_failures = 0;
    run->launched = true;
    run->phase = Phase::kAttached;
    run->in_setup = event.has_setup;
    if (!run->cancel_asked) run->message.clear();
    resume(c, *run);
}

void progressed(Context& c, const Progress& event) {
    Run* run = holder_of(c.state, event.ticket);
    if (!run || run->phase != Phase::kAttached) return;
    if (event.fresh) run->act_failures = 0;
    touch(c, *run);
    if (event.case_started && run->in_setup) {
        run->in_setup = false;
        watch_limits(c, *run);
    }
    if (run->silent_at) run->silent_at = c.now + run->limits.silence + c.state.policy.backstop_margin;
}

void published(Context& c, const Published& event) {
    Run* run = holder_of(c.state, event.ticket);
    if (!run || run->phase != Phase::kPublishing) return;
    Instance* instance = find_instance(c.state, run->instance);
    release(c, *run);
    disarm(c.state, *run);
    c.state.runs.erase(event.ticket.run);
    c.acts.push_back(Report{event.ticket.run});
    if (instance) fill(c, *instance);
}

}  // namespace nsa::scheduler
