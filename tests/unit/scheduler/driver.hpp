// Drives the scheduler in tests: owns the state and a hand-cranked clock, remembers what the last step asked
// for.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/scheduler.hpp"

namespace nsa::scheduler {

using namespace std::chrono_literals;
using language::Reason;
using language::RunState;

struct Driver {
    State state;
    Instant now{};
    std::vector<Action> last;

    std::vector<Action>& apply(const Event& event) {
        last = step(state, event, now);
        return last;
    }
    // Moves the clock on and lets the scheduler see it, as the daemon does at every deadline on the way.
    std::vector<Action>& advance(Duration by) {
        const Instant end = now + by;
        std::vector<Action> all;
        for (auto due = next_deadline(state); due && *due <= end; due = next_deadline(state)) {
            now = std::max(now, *due);
            const std::vector<Action> some = step(state, Tick{}, now);
            all.insert(all.end(), some.begin(), some.end());
        }
        now = end;
        last = std::move(all);
        return last;
    }
    // The only action of this type in the last step.
    template <class A>
    A one() const {
        const std::vector<A> found = all<A>();
        EXPECT_EQ(found.size(), 1U) << "of " << typeid(A).name();
        return found.empty() ? A{} : found.front();
    }
    template <class A>
    std::vector<A> all() const {
        std::vector<A> found;
        for (const Action& action : last) {
            if (const A* one = std::get_if<A>(&action)) found.push_back(*one);
        }
        return found;
    }

    void add_instance(const std::string& name, bool up = true) {
        apply(InstanceKnown{{name}, language::EngineKind::kLocal, {}});
        if (up) apply(LinkUp{{name}, {}});
    }
    void submit(const std::string& run, const std::string& instance = "", language::Retry retry = {}) {
        RunSubmitted event{.run = {run}, .target = {}, .limits = limits, .retry = std::move(retry)};
        event.target.instance = instance;
        apply(event);
    }
    // From submission to a followed job; returns the ticket of the attach.
    Ticket run_until_attached(const std::string& run, const std::string& instance,
                              language::Retry retry = {}) {
        submit(run, instance, std::move(retry));
        return attach_from_stage();
    }
    Ticket attach_from_stage() {
        apply(Staged{one<Stage>().ticket});
        apply(Launched{one<Launch>().ticket, has_setup});
        return one<Attach>().ticket;
    }
    const Run& run(const std::string& id) { return state.runs.at(RunId{id}); }
    RunState shown(const std::string& id) { return state_of(run(id)); }

    Limits limits{.queue = 1h, .provision = 10min, .setup = 5min, .run = 30min, .silence = {}, .pull = 10min};
    bool has_setup = false;
};

inline LinkDown unreachable(const std::string& name) {
    return {{name}, Reason::kHostUnreachable, "instance " + name + ": no route to host", 0.5};
}

}  // namespace nsa::scheduler
