// What becomes of the scheduler's acts in a World, and what goes wrong meanwhile.
#include <algorithm>

#include "world.hpp"

namespace nsa::faults {

using namespace std::chrono_literals;
using language::Reason;
using sched::HostEnd;
using sched::Stored;

// One act is carried out, in any order, perhaps not at all when its link is down.
void World::carry_out() {
    if (acts_.empty()) return;
    const auto chosen = acts_.begin() + draw(static_cast<int>(acts_.size()));
    const sched::Action act = *chosen;
    const auto* follow = std::get_if<sched::Attach>(&act);
    if (follow == nullptr || !still_running(*follow)) acts_.erase(chosen);
    std::visit([this](const auto& one) { carry(one); }, act);
}

bool World::still_running(const sched::Attach& act) {
    const SimHost& host = hosts_.at(act.instance);
    const auto job = host.jobs.find({act.ticket.run, act.ticket.attempt});
    return host.up && job != host.jobs.end() && job->second.running;
}

void World::answer(const sched::Event& event) {
    if (chance(15)) return late_.push_back(event);
    apply(event);
    if (chance(5)) apply(event);
}

bool World::answered(const sched::Ticket& ticket, const InstanceName& name) {
    if (hosts_.at(name).up && !chance(5)) return true;
    answer(sched::ActFailed{ticket, fail(ErrorCode::kTimeout, "no answer")});
    return false;
}

void World::carry(const sched::Connect& act) {
    SimHost& host = hosts_.at(act.instance);
    if (!host.reachable || chance(30)) {
        const Reason reason = chance(10) ? Reason::kAuthRefused : Reason::kHostUnreachable;
        host.up = false;
        return apply(sched::LinkDown{act.instance, reason, "down", static_cast<double>(draw(100)) / 100});
    }
    host.up = true;
    sched::LinkUp up{act.instance, {}};
    for (const auto& [key, job] : host.jobs) {
        if (job.running) up.alive.push_back(key);
    }
    apply(up);
}

void World::carry(const sched::Stage& act) {
    if (chance(3))
        return answer(sched::ActFailed{act.ticket, fail(ErrorCode::kNoSpace, "the host's disk is full")});
    if (answered(act.ticket, act.instance)) answer(sched::Staged{act.ticket});
}

// A launch that a dead link delivers late, after its run was tried again, is one with an older intent. The
// host refuses it when it has the newer attempt; on another host its job is a stray.
void World::carry(const sched::Launch& act) {
    SimHost& host = hosts_.at(act.instance);
    expect(rows_.at(act.ticket.run).attempt >= act.ticket.attempt, "intent before launch",
           act.ticket.run.value);
    if (!host.up) return (void)answered(act.ticket, act.instance);
    const auto newer = host.jobs.upper_bound({act.ticket.run, act.ticket.attempt});
    if (newer != host.jobs.end() && newer->first.first == act.ticket.run)
        return answer(sched::ActFailed{act.ticket, fail(ErrorCode::kConflict, "stale attempt")});
    const auto [job, fresh] =
        host.jobs.try_emplace({act.ticket.run, act.ticket.attempt});  // mkdir is the lock
    if (fresh) ++job->second.launches;
    if (!answered(act.ticket, act.instance)) return;  // it started, and nobody heard
    SimRow& row = rows_.at(act.ticket.run);
    if (row.done || row.attempt != act.ticket.attempt) return;
    row.stored = Stored::kLaunched;
    answer(sched::Launched{act.ticket});
}

void World::carry(const sched::Attach& act) {
    SimHost& host = hosts_.at(act.instance);
    if (!host.up) return;
    const auto job = host.jobs.find({act.ticket.run, act.ticket.attempt});
    if (job == host.jobs.end()) return answer(sched::RemoteEnded{act.ticket, HostEnd::kUnknownRun, ""});
    if (!job->second.running) return answer(sched::RemoteEnded{act.ticket, job->second.end, ""});
    apply(sched::Progress{act.ticket, true});
}

void World::stop_job(const InstanceName& name, const RunId& run, Attempt attempt) {
    SimHost& host = hosts_.at(name);
    const auto job = host.jobs.find({run, attempt});
    if (!host.up || job == host.jobs.end() || !job->second.running || chance(20)) return;
    job->second.running = false;
    job->second.end = HostEnd::kCancelled;
}

void World::carry(const sched::StopRun& act) {
    stop_job(act.instance, act.run, act.attempt);
}

void World::carry(const sched::StopStray& act) {
    stop_job(act.instance, act.run, act.attempt);
    SimHost& host = hosts_.at(act.instance);
    const auto job = host.jobs.find({act.run, act.attempt});
    if (!host.up) return;  // the next link finds it
    if (job != host.jobs.end() && job->second.running) return acts_.push_back(act);
    apply(sched::StrayGone{act.instance, act.run, act.attempt});
}

void World::carry(const sched::Collect& act) {
    if (chance(10)) return answer(sched::ActFailed{act.ticket, fail(ErrorCode::kCorrupt, "hash")});
    if (disk_full_) return answer(sched::ActFailed{act.ticket, fail(ErrorCode::kNoSpace, "disk full")});
    if (answered(act.ticket, act.instance)) answer(sched::Collected{act.ticket});
}

void World::carry(const sched::Publish& act) {
    if (disk_full_ || chance(5))
        return answer(sched::ActFailed{act.ticket, fail(ErrorCode::kNoSpace, "disk full")});
    if (chance(5)) return answer(sched::ActFailed{act.ticket, fail(ErrorCode::kConflict, "refused")});
    SimRow& row = rows_.at(act.ticket.run);
    expect(!row.done, "one result", act.ticket.run.value);
    row.done = true;
    row.reason = act.reason;
    ++row.publications;
    if (chance(10)) return boot();  // died between the commit and the news of it
    answer(sched::Published{act.ticket});
}

// --- what goes wrong

void World::cancel_one() {
    const RunId run{"r" + std::to_string(draw(static_cast<int>(rows_.size())))};
    SimRow& row = rows_.at(run);
    const auto known = state_.runs.find(run);
    if (row.done || known == state_.runs.end() || known->second.phase == sched::Phase::kPublishing) return;
    row.cancel_asked = true;
    apply(sched::CancelAsked{run});
}

void World::cut_link() {
    const auto host = std::next(hosts_.begin(), calm_ ? 0 : draw(static_cast<int>(hosts_.size())));
    if (!host->second.up) return;
    host->second.up = false;
    apply(sched::LinkDown{host->first, Reason::kHostUnreachable, "cut", 0.5});
}

// Reboots, or loses its disk, or leaves the network for a while.
void World::hurt_host() {
    SimHost& host = std::next(hosts_.begin(), draw(static_cast<int>(hosts_.size())))->second;
    const int what = draw(3);
    if (what == 0) {
        host.reachable = !host.reachable;
        return;
    }
    for (auto& [key, job] : host.jobs) {
        if (!std::exchange(job.running, false)) continue;
        job.end = what == 1 ? HostEnd::kHostRebooted : HostEnd::kSupervisorDead;
    }
}

void World::end_jobs() {
    for (auto& [name, host] : hosts_) {
        for (auto& [key, job] : host.jobs) {
            if (!job.running || (!calm_ && draw(2) == 0)) continue;
            job.running = false;
            job.end = chance(20) ? HostEnd::kSupervisorDead : HostEnd::kFinished;
        }
    }
}

void World::deliver_late() {
    const auto chosen = late_.begin() + draw(static_cast<int>(late_.size()));
    const sched::Event event = *chosen;
    late_.erase(chosen);
    apply(event);
}

void World::pass_time(sched::Duration time) {
    now_ += time;
    apply(sched::Tick{});
}

void World::random_turn() {
    switch (draw(16)) {
        case 0:
            return cut_link();
        case 1:
            return end_jobs();
        case 2:
            return pass_time(std::chrono::seconds(draw(120)));
        case 3:
            return chance(20) ? boot() : carry_out();
        case 4:
            return chance(30) ? cancel_one() : carry_out();
        case 5:
            return chance(20) ? hurt_host() : carry_out();
        case 6:
            if (chance(10)) disk_full_ = !disk_full_;
            return carry_out();
        case 7:  // hours at once: an outage, or a laptop that slept
            return chance(10) ? pass_time(std::chrono::minutes(draw(180))) : carry_out();
        case 8:
            return late_.empty() ? carry_out() : deliver_late();
        default:
            return carry_out();
    }
}

void World::settle_turn() {
    end_jobs();
    if (!late_.empty()) return deliver_late();
    if (!acts_.empty()) return carry_out();
    for (const auto& [name, instance] : state_.instances) {
        if (instance.link == sched::Link::kRefused) return apply(sched::ConnectAsked{name});
    }
    if (const auto due = sched::next_deadline(state_)) now_ = std::max(now_, *due);
    apply(sched::Tick{});
}

}  // namespace nsa::faults
