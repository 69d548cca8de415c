// A random world around the scheduler: hosts with run directories, links that break at any moment, answers
// that are late, lost or doubled, a daemon that dies and rebuilds its state from the rows it saved. Every
// seed must keep the invariants and bring every run to an end. A failing seed is printed and can be run
// alone.
#include <map>
#include <random>
#include <set>

#include "driver.hpp"

namespace nsa::scheduler {
namespace {

struct Job {  // a run directory on a host
    bool running = true;
    int launches = 0;
    HostEnd end = HostEnd::kFinished;
};
struct Host {
    bool up = false;  // link, as the daemon sees it
    std::map<std::pair<RunId, Attempt>, Job> jobs;
};
struct StoredRun {  // the row in the store
    Saved saved;
    Attempt attempt{0};
    Stored stored = Stored::kNotBegun;
    InstanceName instance;
    bool cancel_asked = false, done = false;
    Reason reason = Reason::kNone;
    int publications = 0;
};

class World {
  public:
    explicit World(unsigned seed) : random_(seed) {
        for (const char* name : {"a", "b"})
            hosts_[{name}];
        boot();
    }

    void live() {
        for (int i = 0; i < kRuns; ++i)
            submit(i);
        for (int turn = 0; turn < kTurns; ++turn) {
            random_turn();
            check_invariants();
        }
        calm_ = true;  // no more faults: everything must come to its end
        for (int turn = 0; turn < kSettle && !all_done(); ++turn) {
            settle_turn();
            check_invariants();
        }
        EXPECT_TRUE(all_done()) << "a run never ended";
        for (const auto& [name, instance] : state_.instances)
            EXPECT_FALSE(instance.lease) << name.value;
        for (const auto& [id, row] : rows_) {
            EXPECT_EQ(row.publications, 1) << id.value;
            EXPECT_TRUE(!row.cancel_asked || row.reason == Reason::kCancelledByUser) << id.value;
        }
    }

  private:
    static constexpr int kRuns = 4, kTurns = 120, kSettle = 4000;

    int draw(int bound) { return static_cast<int>(random_() % static_cast<unsigned>(bound)); }
    bool chance(int percent) { return !calm_ && draw(100) < percent; }

    RunSubmitted submission(int i) {
        RunSubmitted run{.run = {"r" + std::to_string(i)}, .target = {}, .limits = {}, .retry = {}};
        run.limits = {.queue = {}, .provision = 5min, .setup = {}, .run = 10min, .silence = {}, .pull = 5min};
        run.target.instance = i % 3 == 0 ? "" : i % 3 == 1 ? "a" : "b";
        run.retry = {.on = {language::FailureClass::kInfra}, .max = i % 2};
        return run;
    }
    void submit(int i) {
        specs_[{"r" + std::to_string(i)}] = submission(i);
        rows_[{"r" + std::to_string(i)}];
        apply(submission(i));
    }

    void apply(const Event& event) {
        for (const Action& action : step(state_, event, now_))
            perform(action);
    }

    void boot() {
        state_ = State{};
        acts_.clear();
        for (auto& [name, host] : hosts_) {
            host.up = false;
            apply(InstanceKnown{name, language::EngineKind::kLocal, {}});
        }
        for (const bool begun : {true, false})
            restore(begun);
    }
    // Whoever is on an instance is told first, as the daemon does it.
    void restore(bool begun) {
        for (const auto& [id, row] : rows_) {
            if (row.done || (row.stored != Stored::kNotBegun) != begun) continue;
            apply(RunRestored{.run = specs_.at(id),
                              .attempt = row.attempt,
                              .stored = row.stored,
                              .instance = row.instance,
                              .cancel_asked = row.cancel_asked,
                              .saved = row.saved});
        }
    }

    void perform(const Action& action) {
        if (const auto* save = std::get_if<SaveRun>(&action)) {
            StoredRun& row = rows_.at(save->run);
            EXPECT_FALSE(row.done) << "left DONE";
            row.saved = {save->state, save->reason, save->message, save->lease, save->over, save->retries};
            if (save->over >= row.attempt) row.stored = Stored::kNotBegun;
        } else if (const auto* intent = std::get_if<SaveIntent>(&action)) {
            StoredRun& row = rows_.at(intent->run);
            EXPECT_EQ(intent->attempt.value, row.attempt.value + 1) << "an attempt is begun once";
            row.attempt = intent->attempt;
            row.stored = Stored::kIntent;
            row.instance = intent->instance;
        } else {
            acts_.push_back(action);
        }
    }

    // One act is carried out, in any order, perhaps not at all when its link is down.
    void carry_out() {
        if (acts_.empty()) return;
        const auto chosen = acts_.begin() + draw(static_cast<int>(acts_.size()));
        const Action act = *chosen;
        const bool follows = std::holds_alternative<Attach>(act);
        if (!follows || !still_running(std::get<Attach>(act))) acts_.erase(chosen);
        std::visit([this](const auto& a) { carry(a); }, act);
    }
    bool still_running(const Attach& a) {
        const Host& host = hosts_.at(a.instance);
        const auto job = host.jobs.find({a.ticket.run, a.ticket.attempt});
        return host.up && job != host.jobs.end() && job->second.running;
    }

    bool answered(const Ticket& ticket, const InstanceName& name) {
        if (hosts_.at(name).up && !chance(5)) return true;
        apply(ActFailed{ticket, fail(ErrorCode::kTimeout, "no answer")});
        return false;
    }
    void carry(const SaveRun&) {}
    void carry(const SaveIntent&) {}
    void carry(const Report&) {}
    void carry(const Connect& a) {
        Host& host = hosts_.at(a.instance);
        if (chance(30)) {
            const bool refused = chance(10);
            host.up = false;
            apply(
                LinkDown{a.instance, refused ? Reason::kAuthRefused : Reason::kHostUnreachable, "down", 0.5});
            return;
        }
        host.up = true;
        LinkUp up{a.instance, {}};
        for (const auto& [key, job] : host.jobs) {
            if (job.running) up.alive.push_back(key);
        }
        apply(up);
    }
    void carry(const Stage& a) {
        if (answered(a.ticket, a.instance)) apply(Staged{a.ticket});
    }
    void carry(const Launch& a) {
        Host& host = hosts_.at(a.instance);
        EXPECT_EQ(rows_.at(a.ticket.run).attempt, a.ticket.attempt) << "launched without a durable intent";
        if (!host.up) return (void)answered(a.ticket, a.instance);
        const auto [job, fresh] =
            host.jobs.try_emplace({a.ticket.run, a.ticket.attempt});  // mkdir is the lock
        if (fresh) ++job->second.launches;
        if (!answered(a.ticket, a.instance)) return;  // it started, and nobody heard
        StoredRun& row = rows_.at(a.ticket.run);
        if (row.done || row.attempt != a.ticket.attempt) return;
        row.stored = Stored::kLaunched;
        apply(Launched{a.ticket});
        if (chance(10)) apply(Launched{a.ticket});
    }
    void carry(const Attach& a) {
        Host& host = hosts_.at(a.instance);
        if (!host.up) return;
        const auto job = host.jobs.find({a.ticket.run, a.ticket.attempt});
        if (job == host.jobs.end()) return apply(RemoteEnded{a.ticket, HostEnd::kUnknownRun, ""});
        if (!job->second.running) return apply(RemoteEnded{a.ticket, job->second.end, ""});
        apply(Progress{a.ticket, true});
    }
    void stop(const InstanceName& name, const RunId& run, Attempt attempt) {
        Host& host = hosts_.at(name);
        const auto job = host.jobs.find({run, attempt});
        if (!host.up || job == host.jobs.end() || !job->second.running || chance(20)) return;
        job->second.running = false;
        job->second.end = HostEnd::kCancelled;
    }
    void carry(const StopRun& a) { stop(a.instance, a.run, a.attempt); }
    void carry(const StopStray& a) {
        stop(a.instance, a.run, a.attempt);
        Host& host = hosts_.at(a.instance);
        const auto job = host.jobs.find({a.run, a.attempt});
        if (!host.up) return;  // the next link finds it
        if (job != host.jobs.end() && job->second.running) return acts_.push_back(a);
        apply(StrayGone{a.instance, a.run, a.attempt});
    }
    void carry(const Collect& a) {
        if (chance(10)) return apply(ActFailed{a.ticket, fail(ErrorCode::kCorrupt, "hash")});
        if (answered(a.ticket, a.instance)) apply(Collected{a.ticket});
    }
    void carry(const Publish& a) {
        if (chance(10)) return apply(ActFailed{a.ticket, fail(ErrorCode::kNoSpace, "disk full")});
        if (chance(10)) return apply(ActFailed{a.ticket, fail(ErrorCode::kConflict, "refused")});
        EXPECT_EQ(a.message.find("two runs claim"), std::string::npos) << a.ticket.run.value;
        StoredRun& row = rows_.at(a.ticket.run);
        row.done = true;
        row.reason = a.reason;
        ++row.publications;
        if (chance(10)) return boot();  // died between the commit and the news of it
        apply(Published{a.ticket});
    }

    void cancel_one() {
        const RunId run{"r" + std::to_string(draw(kRuns))};
        StoredRun& row = rows_.at(run);
        if (row.done || state_.runs.at(run).phase == Phase::kPublishing) return;
        row.cancel_asked = true;
        apply(CancelAsked{run});
    }
    void cut_link() {
        const InstanceName name{draw(2) == 0 ? "a" : "b"};
        if (!hosts_.at(name).up) return;
        hosts_.at(name).up = false;
        apply(LinkDown{name, Reason::kHostUnreachable, "cut", 0.5});
    }
    void end_a_job() {
        for (auto& [name, host] : hosts_) {
            for (auto& [key, job] : host.jobs) {
                if (!job.running || draw(2) == 0) continue;
                job.running = false;
                job.end = chance(20) ? HostEnd::kSupervisorDead : HostEnd::kFinished;
            }
        }
    }
    void random_turn() {
        switch (draw(12)) {
            case 0:
                return cut_link();
            case 1:
                return end_a_job();
            case 2:
                now_ += std::chrono::seconds(draw(120));
                return apply(Tick{});
            case 3:
                return chance(20) ? boot() : carry_out();
            case 4:
                return chance(30) ? cancel_one() : carry_out();
            default:
                return carry_out();
        }
    }
    void settle_turn() {
        end_a_job();
        if (!acts_.empty()) return carry_out();
        for (const auto& [name, instance] : state_.instances) {
            if (instance.link == Link::kRefused) return apply(ConnectAsked{name});
        }
        if (const auto due = next_deadline(state_)) now_ = std::max(now_, *due);
        apply(Tick{});
    }

    void check_invariants() {
        for (const auto& [name, host] : hosts_) {
            for (const auto& [key, job] : host.jobs)
                EXPECT_LE(job.launches, 1) << "launched twice";
        }
        std::map<InstanceName, int> holders;
        for (const auto& [id, run] : state_.runs) {
            EXPECT_FALSE(rows_.at(id).done && run.phase != Phase::kPublishing) << "left DONE";
            EXPECT_TRUE(run.instance.empty() || ++holders[run.instance] == 1) << "two runs on one instance";
            EXPECT_TRUE(run.phase != Phase::kQueued || run.instance.empty()) << "waits with a lease";
        }
        for (const auto& [name, instance] : state_.instances) {
            EXPECT_EQ(instance.lease.has_value(), holders.contains(name))
                << "lease and holder of " << name.value;
        }
    }
    bool all_done() const {
        return std::all_of(rows_.begin(), rows_.end(), [](const auto& row) { return row.second.done; }) &&
               state_.runs.empty();
    }

    std::mt19937 random_;
    bool calm_ = false;
    Instant now_{};
    State state_;
    std::map<InstanceName, Host> hosts_;
    std::map<RunId, StoredRun> rows_;
    std::map<RunId, RunSubmitted> specs_;
    std::vector<Action> acts_;
};

TEST(Simulation, EverySeedKeepsTheInvariantsAndEndsEveryRun) {
    for (unsigned seed = 1; seed <= 5'000; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        World(seed).live();
        if (::testing::Test::HasFailure()) return;
    }
}

}  // namespace
}  // namespace nsa::scheduler
