#include "world.hpp"

#include <algorithm>

namespace nsa::faults {

using namespace std::chrono_literals;
using language::Reason;
using language::RunState;
using sched::HostEnd;
using sched::Stored;

namespace {
constexpr int kRuns = 4, kTurns = 120, kSettle = 4000;
const char* const kHosts[] = {"a", "b"};
}  // namespace

World::World(std::uint64_t seed, Step step) : random_(seed), step_(step) {
    for (const char* name : kHosts)
        hosts_[{name}];
    boot();
}

std::vector<std::string> World::live() {
    for (int i = 0; i < kRuns; ++i) {
        sched::RunSubmitted run{.run = {"r" + std::to_string(i)}, .target = {}, .limits = {}, .retry = {}};
        run.limits = {.queue = {}, .provision = 5min, .setup = {}, .run = 10min, .silence = {}, .pull = 5min};
        run.target.instance = i % 3 == 0 ? "" : kHosts[i % 3 - 1];
        run.retry = {.on = {language::FailureClass::kInfra}, .max = i % 2};
        submit(run);
    }
    for (int turn = 0; turn < kTurns && violations_.empty(); ++turn) {
        random_turn();
        check();
    }
    settle();
    return violations_;
}

std::vector<std::string> World::outlive(sched::Duration outage) {
    calm_ = true;
    sched::RunSubmitted run{.run = {"r0"}, .target = {}, .limits = {}, .retry = {}};
    run.limits = {.queue = {}, .provision = 5min, .setup = {}, .run = 10min, .silence = {}, .pull = 5min};
    run.target.instance = kHosts[0];
    submit(run);
    SimHost& host = hosts_.at({kHosts[0]});
    while (state_.runs.at({"r0"}).phase != sched::Phase::kAttached)
        carry_out();
    const sched::Instant ends = now_ + outage / 2, back = now_ + outage;
    host.reachable = false;
    cut_link();
    while (now_ < back) {
        while (!acts_.empty())
            carry_out();
        check();
        pass_time(1s);
        if (now_ >= ends) end_jobs();
    }
    expect(sched::state_of(state_.runs.at({"r0"})) == RunState::kLost, "is shown as LOST", "r0");
    host.reachable = true;
    settle();
    expect(rows_.at({"r0"}).reason == Reason::kCompleted, "ends as it did on the host", "r0");
    expect(rows_.at({"r0"}).attempt == Attempt{1}, "is launched once", "r0");
    return violations_;
}

// Everything that was asked for comes to its end, once.
void World::settle() {
    calm_ = true;
    disk_full_ = false;
    for (auto& [name, host] : hosts_)
        host.reachable = true;
    for (int turn = 0; turn < kSettle && !all_done() && violations_.empty(); ++turn) {
        settle_turn();
        check();
    }
    expect(all_done(), "every run ends", "");
    for (const auto& [name, instance] : state_.instances)
        expect(!instance.lease, "no lease is kept", name.value);
    for (const auto& [id, row] : rows_) {
        expect(row.publications == 1, "one result", id.value);
        expect(!row.cancel_asked || row.reason == Reason::kCancelledByUser, "a cancel wins", id.value);
    }
}

void World::expect(bool holds, const char* rule, const std::string& about) {
    if (!holds) violations_.push_back(std::string{rule} + (about.empty() ? "" : ": " + about));
}

void World::submit(const sched::RunSubmitted& run) {
    specs_[run.run] = run;
    rows_[run.run];
    apply(run);
}

void World::boot() {
    state_ = sched::State{};
    acts_.clear();
    late_.clear();
    for (auto& [name, host] : hosts_) {
        host.up = false;
        apply(sched::InstanceKnown{name, language::EngineKind::kLocal, {}});
    }
    std::vector<sched::RunRestored> all;
    for (const auto& [id, row] : rows_) {
        if (row.done) continue;
        sched::RunRestored& restored = all.emplace_back();
        restored.run = specs_.at(id);
        restored.attempt = row.attempt;
        restored.stored = row.stored;
        restored.instance = row.instance;
        restored.cancel_asked = row.cancel_asked;
        restored.saved = row.saved;
    }
    // The daemon's order (sort_for_adoption): who is on an instance, then who was given one.
    const auto rank = [](const sched::RunRestored& run) {
        if (run.stored != Stored::kNotBegun) return 0;
        return run.saved.lease.empty() ? 2 : 1;
    };
    std::stable_sort(all.begin(), all.end(), [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    for (const sched::RunRestored& restored : all)
        apply(restored);
}

void World::apply(const sched::Event& event) {
    for (const sched::Action& action : step_(state_, event, now_))
        perform(action);
}

void World::perform(const sched::Action& action) {
    if (const auto* save = std::get_if<sched::SaveRun>(&action)) {
        SimRow& row = rows_.at(save->run);
        expect(!row.done, "DONE is final", save->run.value);
        for (const auto& [id, other] : rows_) {
            const bool clash =
                !save->lease.empty() && id != save->run && !other.done && other.saved.lease == save->lease;
            expect(!clash, "an instance is leased to one row", save->run.value);
        }
        row.saved = {.state = save->state,
                     .reason = save->reason,
                     .message = save->message,
                     .lease = save->lease,
                     .over = save->over,
                     .retries = save->retries};
        if (save->over >= row.attempt) row.stored = Stored::kNotBegun;
    } else if (const auto* intent = std::get_if<sched::SaveIntent>(&action)) {
        SimRow& row = rows_.at(intent->run);
        expect(intent->attempt.value == row.attempt.value + 1, "an attempt is begun once", intent->run.value);
        row.attempt = intent->attempt;
        row.stored = Stored::kIntent;
        row.instance = intent->instance;
    } else {
        acts_.push_back(action);
    }
}

bool World::all_done() const {
    return state_.runs.empty() &&
           std::all_of(rows_.begin(), rows_.end(), [](const auto& row) { return row.second.done; });
}

void World::check() {
    for (const auto& [name, host] : hosts_) {
        for (const auto& [key, job] : host.jobs)
            expect(job.launches <= 1, "an attempt is launched once", key.first.value);
    }
    std::map<InstanceName, int> holders;
    for (const auto& [id, run] : state_.runs) {
        expect(!rows_.at(id).done || run.phase == sched::Phase::kPublishing, "DONE is final", id.value);
        expect(run.instance.empty() || ++holders[run.instance] == 1, "one run for an instance", id.value);
        expect(run.phase != sched::Phase::kQueued || run.instance.empty(), "no lease while queued", id.value);
    }
    for (const auto& [name, instance] : state_.instances)
        expect(instance.lease.has_value() == holders.contains(name), "a lease has its holder", name.value);
}

}  // namespace nsa::faults
