// A random world around the pure scheduler, in virtual time: hosts with run directories, links that break for
// seconds or hours, answers that come late, twice or never, hosts that reboot or are wiped, a disk that fills
// up, a daemon that dies anywhere and rebuilds its state from the rows it saved. One seed is one world: the
// same seed, the same life.
#pragma once

#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/scheduler.hpp"

namespace nsa::faults {

namespace sched = scheduler;

struct SimJob {  // a run directory on a host
    bool running = true;
    int launches = 0;
    sched::HostEnd end = sched::HostEnd::kFinished;
};
struct SimHost {
    bool up = false;        // link, as the daemon sees it
    bool reachable = true;  // the network; false: connects fail
    std::map<std::pair<RunId, Attempt>, SimJob> jobs;
};
struct SimRow {  // of the store: what survives the daemon
    sched::Saved saved;
    Attempt attempt{0};
    sched::Stored stored = sched::Stored::kNotBegun;
    InstanceName instance;
    bool cancel_asked = false, done = false;
    language::Reason reason = language::Reason::kNone;
    int publications = 0;
};

class World {
  public:
    using Step = std::vector<sched::Action> (*)(sched::State&, const sched::Event&, sched::Instant);
    // step: the scheduler under test; a broken one in the tests of this world.
    explicit World(std::uint64_t seed, Step step = sched::step);

    // A life of faults, then calm until everything has ended. Returns what was violated; empty: nothing.
    std::vector<std::string> live();

    // One run on one host whose link is lost for so long (virtual time), the job ending meanwhile. What was
    // violated.
    std::vector<std::string> outlive(sched::Duration outage);
    std::chrono::steady_clock::duration age() const { return now_ - sched::Instant{}; }

  private:
    int draw(int bound) { return static_cast<int>(random_() % static_cast<unsigned>(bound)); }
    bool chance(int percent) { return !calm_ && draw(100) < percent; }
    void expect(bool holds, const char* rule, const std::string& about);

    void submit(const sched::RunSubmitted& run);
    void boot();
    void apply(const sched::Event& event);
    void perform(const sched::Action& action);
    void answer(const sched::Event& event);  // now, later, or twice
    bool answered(const sched::Ticket& ticket, const InstanceName& name);
    void carry_out();
    bool still_running(const sched::Attach& act);

    void carry(const sched::SaveRun&) {}
    void carry(const sched::SaveIntent&) {}
    void carry(const sched::Report&) {}
    void carry(const sched::Connect& act);
    void carry(const sched::Stage& act);
    void carry(const sched::Launch& act);
    void carry(const sched::Attach& act);
    void carry(const sched::StopRun& act);
    void carry(const sched::StopStray& act);
    void carry(const sched::Collect& act);
    void carry(const sched::Publish& act);
    void stop_job(const InstanceName& name, const RunId& run, Attempt attempt);

    void cancel_one();
    void cut_link();
    void hurt_host();
    void end_jobs();
    void deliver_late();
    void pass_time(sched::Duration time);
    void random_turn();
    void settle_turn();
    void settle();
    void check();
    bool all_done() const;

    std::mt19937_64 random_;
    const Step step_;
    bool calm_ = false, disk_full_ = false;
    sched::Instant now_{};
    sched::State state_;
    std::map<InstanceName, SimHost> hosts_;
    std::map<RunId, SimRow> rows_;
    std::map<RunId, sched::RunSubmitted> specs_;
    std::vector<sched::Action> acts_;
    std::vector<sched::Event> late_;  // answers on their way
    std::vector<std::string> violations_;
};

}  // namespace nsa::faults
