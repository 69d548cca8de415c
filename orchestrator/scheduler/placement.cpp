#include <algorithm>

#include "scheduler/transitions.hpp"

namespace nsa::scheduler {
namespace {

std::set<std::pair<std::uint64_t, RunId>>& queue_of(State& state, const Run& run) {
    return state.queues[InstanceName{run.target.instance}];
}

bool is_free(const Instance& instance) {
    return !instance.lease && instance.strays.empty();
}

// Why the instance is not, or may not be, what the run asks for.
std::optional<std::string> misfit(const State& state, const Run& run, const Instance& instance) {
    if (run.target.engine && *run.target.engine != instance.engine) return "has another engine";
    return state.mismatch(run.target, instance.facts);
}

// Why a run that names no instance cannot have this one now; nothing when it can.
std::optional<std::string> hindrance(const State& state, const Run& run, const Instance& instance) {
    if (const auto why = misfit(state, run, instance)) return why;
    if (!is_free(instance)) return "is busy";
    if (instance.link == Link::kRefused || instance.failures > 0) return instance.message;
    return std::nullopt;
}

// An instance whose link is up goes first, then by name.
Instance* choose(State& state, const Run& run) {
    Instance* best = nullptr;
    for (auto& [name, instance] : state.instances) {
        if (hindrance(state, run, instance)) continue;
        if (instance.link == Link::kUp) return &instance;
        if (!best) best = &instance;
    }
    return best;
}

std::string explain_wait(const State& state, const Run& run) {
    constexpr std::size_t kNamed = 4;
    std::string text = "waits for an instance";
    std::size_t named = 0;
    for (const auto& [name, instance] : state.instances) {
        if (++named > kNamed) break;
        text += (named == 1 ? ": " : "; ") + name.value + " " +
                hindrance(state, run, instance).value_or("is free");
    }
    if (state.instances.size() > kNamed) {
        text += "; and " + std::to_string(state.instances.size() - kNamed) + " more";
    }
    return text;
}

void lease(Context& c, Run& run, Instance& instance) {
    queue_of(c.state, run).erase({run.order, run.id});
    instance.lease = Lease{run.id, Epoch{++c.state.last_epoch.value}};
    run.instance = instance.name;
    run.phase = Phase::kConnecting;
    run.until = after(c.now, run.limits.provision);
    run.message.clear();
    touch(c, run);
    if (instance.link == Link::kUp) {
        resume(c, run);
    } else {
        run.message = "connects to instance " + instance.name.value;
        // A person may have mended what failed before: the wait for the next try is not his.
        if (instance.link != Link::kConnecting) connect(c, instance);
    }
}

}  // namespace

bool end_misfit(Context& c, Run& run, const Instance& instance) {
    if (run.target.instance.empty()) return false;  // it was chosen because it fits
    const bool other_engine = run.target.engine && *run.target.engine != instance.engine;
    if (instance.facts.empty() && !other_engine) return false;
    const auto why = misfit(c.state, run, instance);
    if (!why) return false;
    conclude(c, run, language::Reason::kTargetUnmet,
             "instance " + instance.name.value + ", which it names, " + *why);
    return true;
}

bool waits_for_probe(const State& state, const Run& run, const Instance& instance) {
    return instance.facts.empty() && misfit(state, run, instance);
}

void keep_lease(Context& c, Run& run, const InstanceName& name) {
    Instance* instance = find_instance(c.state, name);
    if (!instance || instance->lease) return;
    queue_of(c.state, run).erase({run.order, run.id});
    instance->lease = Lease{run.id, Epoch{++c.state.last_epoch.value}};
    run.instance = name;
    run.phase = Phase::kConnecting;
}

void enqueue(Context& c, Run& run) {
    run.phase = Phase::kQueued;
    run.until = run.silent_at = run.lost_at = run.cancel_again = run.cancel_until = run.wake = std::nullopt;
    run.act.reset();
    run.lost = run.launched = run.overdue = run.in_setup = false;
    run.whole = true;
    run.act_failures = run.pull_failures = 0;
    run.bare = false;
    run.trouble.clear();
    queue_of(c.state, run).insert({run.order, run.id});
    touch(c, run);
}

void place(Context& c, Run& run) {
    touch(c, run);
    const InstanceName wanted{run.target.instance};
    if (wanted.empty()) {
        if (Instance* chosen = choose(c.state, run)) return lease(c, run, *chosen);
        run.message = explain_wait(c.state, run);
        return;
    }
    Instance* instance = find_instance(c.state, wanted);
    if (!instance) {
        return conclude(c, run, language::Reason::kInstanceMissing,
                        "there is no instance \"" + wanted.value +
                            "\"; `nsactl instance list` names those that are registered");
    }
    if (end_misfit(c, run, *instance)) return;
    if (is_free(*instance)) return lease(c, run, *instance);
    run.message = "waits for instance " + wanted.value + " to be free";
}

void place_again(Context& c, Run& run, const InstanceName& held) {
    Instance* instance = find_instance(c.state, held);
    if (instance && !instance->lease) return lease(c, run, *instance);
    place(c, run);
}

void fill(Context& c, Instance& instance) {
    if (!is_free(instance)) return;
    Run* next = nullptr;
    const auto& named = c.state.queues[instance.name];
    while (!named.empty() && !next) {
        Run* first = find_run(c.state, named.begin()->second);
        if (!end_misfit(c, *first, instance)) next = first;
    }
    for (const auto& [order, id] : c.state.queues[InstanceName{}]) {
        if (next && next->order < order) break;
        Run* candidate = find_run(c.state, id);
        if (hindrance(c.state, *candidate, instance)) continue;
        next = candidate;
        break;
    }
    if (next) lease(c, *next, instance);
}

void release(Context& c, Run& run) {
    queue_of(c.state, run).erase({run.order, run.id});
    Instance* instance = find_instance(c.state, run.instance);
    if (instance && instance->lease && instance->lease->run == run.id) instance->lease.reset();
    run.instance = {};
    touch(c, run);
}

}  // namespace nsa::scheduler
