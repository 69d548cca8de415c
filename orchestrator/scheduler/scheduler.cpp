#include "scheduler/scheduler.hpp"

#include <algorithm>

#include "scheduler/transitions.hpp"

namespace nsa::scheduler {
namespace {

template <class... Fs>
struct Overloaded : Fs... {
    using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

void dispatch(Context& c, const Event& event) {
    std::visit(
        Overloaded{
            [&](const RunSubmitted& e) { submitted(c, e); }, [&](const RunRestored& e) { restored(c, e); },
            [&](const CancelAsked& e) { cancel_asked(c, e); },
            [&](const InstanceKnown& e) { instance_known(c, e); },
            [&](const InstanceProbed& e) { instance_probed(c, e); },
            [&](const ConnectAsked& e) { connect_asked(c, e); }, [&](const LinkUp& e) { link_up(c, e); },
            [&](const LinkDown& e) { link_down(c, e); }, [&](const StrayGone& e) { stray_gone(c, e); },
            [&](const Staged& e) { staged(c, e); }, [&](const Launched& e) { launched(c, e); },
            [&](const Progress& e) { progressed(c, e); }, [&](const RemoteEnded& e) { remote_ended(c, e); },
            [&](const Collected& e) { collected(c, e); }, [&](const Published& e) { published(c, e); },
            [&](const ActFailed& e) { act_failed(c, e); }, [&](const Tick&) { tick(c); }},
        event);
}

// The latest attempt is over as soon as its run waits for the next one.
Attempt over_of(const Run& run) {
    const bool waits =
        run.phase == Phase::kQueued || run.phase == Phase::kConnecting || run.phase == Phase::kStaging;
    return waits || run.attempt.value == 0 ? run.attempt : Attempt{run.attempt.value - 1};
}

Saved row_of(const Run& run) {
    if (run.phase == Phase::kPublishing) {
        // The publication records the end by itself, together with the result; only its trouble is shown.
        Saved row = run.saved;
        if (!run.trouble.empty()) row.message = run.trouble;
        return row;
    }
    return {.state = state_of(run),
            .reason = run.reason,
            .message = run.message,
            .lease = run.instance,
            .over = over_of(run),
            .retries = run.retries};
}

}  // namespace

language::RunState state_of(const Run& run) {
    using language::RunState;
    if (run.lost) return RunState::kLost;
    switch (run.phase) {
        case Phase::kQueued:
            return RunState::kQueued;
        case Phase::kConnecting:
            return RunState::kProvisioning;
        case Phase::kStaging:
        case Phase::kLaunching:
            return RunState::kStaging;
        case Phase::kAttached:
            return run.in_setup ? RunState::kSetup : RunState::kRunning;
        case Phase::kCollecting:
        case Phase::kPublishing:
            return RunState::kCollecting;
    }
    return RunState::kQueued;
}

void touch(Context& c, const Run& run) {
    if (std::find(c.touched.begin(), c.touched.end(), run.id) == c.touched.end()) c.touched.push_back(run.id);
}

Run* find_run(State& state, const RunId& id) {
    const auto found = state.runs.find(id);
    return found == state.runs.end() ? nullptr : &found->second;
}

Instance* find_instance(State& state, const InstanceName& name) {
    const auto found = state.instances.find(name);
    return found == state.instances.end() ? nullptr : &found->second;
}

bool link_is_up(const State& state, const Run& run) {
    const auto found = state.instances.find(run.instance);
    return found != state.instances.end() && found->second.link == Link::kUp;
}

Run* holder_of(State& state, const Ticket& ticket) {
    Run* run = find_run(state, ticket.run);
    return run && run->act == ticket.epoch && run->attempt == ticket.attempt ? run : nullptr;
}

Ticket new_act(Context& c, Run& run) {
    run.act = Epoch{++c.state.last_epoch.value};
    run.wake.reset();
    touch(c, run);
    return {run.id, run.attempt, *run.act};
}

std::optional<Instant> after(Instant now, Duration limit) {
    if (limit <= Duration::zero()) return std::nullopt;
    return now + limit;
}

std::vector<Action> step(State& state, const Event& event, Instant now) {
    Context c{.state = state, .now = now};
    dispatch(c, event);
    std::vector<Action> actions;
    for (const RunId& id : c.touched) {
        Run* run = find_run(state, id);
        if (!run) continue;
        rearm(state, *run);
        Saved row = row_of(*run);
        if (row == run->saved) continue;
        actions.push_back(
            SaveRun{id, row.state, row.reason, row.message, row.lease, row.over, row.retries, run->failed});
        run->saved = std::move(row);
    }
    std::move(c.intents.begin(), c.intents.end(), std::back_inserter(actions));
    std::move(c.acts.begin(), c.acts.end(), std::back_inserter(actions));
    return actions;
}

}  // namespace nsa::scheduler
