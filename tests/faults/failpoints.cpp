// Every named failpoint once: a daemon or a worker dies exactly there, a released daemon takes over,
// everything is judged.
#include "daemon/failpoints.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iostream>
#include <sstream>

#include "rig.hpp"
#include "support/temp_dir.hpp"
#include "worker_lab/failpoints.hpp"

namespace nsa::faults {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr const char* kHeld = "held";        // waits for its flag; alive while the daemon of the prelude dies
constexpr const char* kEndless = "endless";  // is cancelled, if the daemon lives so long
constexpr seconds kReach{60}, kReachByLostLink{120};

// Files go to a host only for tools that are built there; Crash.OfServeInAPutLeavesTheOldFileOrTheNewOne dies
// at these.
constexpr std::array<std::string_view, 2> kElsewhere{"worker.put.after_rename", "worker.put.before_rename"};

// What a failpoint needs besides the ordinary life of a few runs.
struct Needs {
    bool fresh = false;            // an empty state folder: no daemon has lived before
    bool dead_supervisor = false;  // of the run that is alive at the start
    bool lost_link = false;        // for longer than the grace; a run is cancelled meanwhile
    bool no_link = false;          // to any host
    bool deaf_step = false;        // ignores SIGTERM
    bool backups = false;
    bool is_worker = false;
};

Needs needs_of(const std::string& name) {
    Needs needs;
    needs.is_worker = name.starts_with("worker.");
    needs.fresh = name.starts_with("daemon.migration.");
    needs.dead_supervisor = name.starts_with("worker.orphans.") || name == "worker.attach.found_dead";
    needs.lost_link = name == "daemon.saved.lost" || name == "daemon.stray.gone";
    needs.no_link = name == "daemon.saved.provisioning";
    needs.deaf_step = name == "worker.step.before_kill";
    needs.backups = name.starts_with("daemon.backup.");
    return needs;
}

bool was_hit(const fs::path& log, const std::string& name) {
    std::ifstream in{log};
    std::string line;
    while (std::getline(in, line)) {
        if (line == name) return true;
    }
    return false;
}

// A setup command, a step that fails and one that is blocked by it.
std::string wide_spec(const Trial& trial) {
    return "version: 1\nname: wide\nsubject: Fault laboratory\nsetup:\n  - [/bin/true]\nsteps:\n"
           "  - id: s\n    kind: command\n    run: [/bin/sh, -c, \"echo $NSA_RUN_DIR >> '" +
           trial.marks().string() +
           "'; exit 1\"]\n  - id: after\n    kind: command\n    needs: s\n    run: [/bin/true]\n";
}

class PointTrial {
  public:
    PointTrial(const Lab& lab, std::string name)
        : lab_(lab),
          name_(std::move(name)),
          needs_(needs_of(name_)),
          rig_(lab, "failpoint", "tests/faults/run --only failpoints --failpoint " + name_,
               {.instances = {"h1"}, .in_flight = 0, .cancel_percent = 0, .script = {}}, lab.seed),
          log_(rig_.trial().root() / "failpoints"),
          worker_(rig_.trial().root() / "nsa-worker") {
        fs::create_symlink(needs_.is_worker ? lab.programs.worker_lab : lab.programs.worker, worker_);
        rig_.scene().workers_may_die = needs_.is_worker;
    }

    // Whether the point was reached. Violations are reported here.
    bool run(int& failures) {
        const std::vector<Violation> found = violations();
        if (!found.empty()) {
            ++failures;
            report_failure(rig_.trial(), found);
        }
        return was_hit(log_, name_);
    }

  private:
    std::vector<Violation> violations() {
        try {
            std::vector<Violation> found = needs_.fresh ? std::vector<Violation>{} : prelude();
            if (found.empty()) {
                live();
                found = rig_.judge_now();
            }
            release_held();
            return found.empty() ? rig_.settle() : found;
        } catch (const std::exception& error) {
            return {{"no answer", error.what()}};
        }
    }

    fs::path flag() { return rig_.trial().root() / "flag"; }
    std::string waiting() { return "while [ ! -e '" + flag().string() + "' ]; do sleep 0.02; done"; }
    void release_held() { test::write_file(flag(), ""); }

    void want_runs() {
        const Trial& trial = rig_.trial();
        // Before its mark, at which it is cancelled.
        const std::string deaf = needs_.deaf_step ? "trap '' TERM\n" : "";
        rig_.work().add("short", short_step(trial), "h1");
        rig_.work().add_spec("wide", wide_spec(trial), "h1");
        rig_.work().add(kEndless, deaf + marked(trial, waiting()), "h2");
    }

    // A released daemon dies while a run executes.
    std::vector<Violation> prelude() {
        rig_.work().add(kHeld, marked(rig_.trial(), waiting()), "");
        LabDaemon daemon(rig_.trial(), {lab_.programs.nsad, lab_.programs.worker, {}, {}});
        if (!daemon.serves(rig_.io(), seconds{60})) return {{"no start", "the first daemon does not serve"}};
        const Clock::time_point limit = Clock::now() + seconds{60};
        while (read_marks(rig_.trial().marks()).empty() && Clock::now() < limit &&
               !daemon.process().wait(milliseconds{0}))
            rig_.work().work_until(Clock::now() + milliseconds{5});
        if (read_marks(rig_.trial().marks()).empty())
            return {{"no start", "the first run does not execute; see nsad.out"}};
        rig_.work().work_until(Clock::now() + milliseconds{30});
        daemon.process().end(SIGKILL, seconds{20});
        rig_.work().daemon_died();
        if (needs_.dead_supervisor) signal_workers("run", SIGKILL);
        return {};
    }

    // Of the trial's nsa-worker processes those with this first word.
    void signal_workers(const std::string& word, int number) {
        for (const std::string& process : rig_.trial().processes()) {
            std::istringstream words{process};
            pid_t pid = 0;
            std::string program, first;
            words >> pid >> program >> first;
            if (program.find("nsa-worker") != std::string::npos && first == word) ::kill(pid, number);
        }
    }

    DaemonSetup armed() const {
        DaemonSetup setup{lab_.programs.nsad_lab, worker_, {}, {}};
        setup.environment = {"NSA_FAILPOINT=" + name_, "NSA_FAILPOINT_LOG=" + log_.string()};
        if (needs_.backups) setup.flags = {"--backup-every", "0.005"};
        return setup;
    }

    // A daemon with the failpoint, until it was hit or the script is over.
    void live() {
        if (needs_.no_link) fs::remove(worker_);
        LabDaemon daemon(rig_.trial(), armed());
        const Clock::time_point limit = Clock::now() + (needs_.lost_link ? kReachByLostLink : kReach);
        if (daemon.serves(rig_.io(), seconds{60})) {
            rig_.add_local_instances(
                {"h1", "h2"});  // refused when the daemon dies in it: then the last one has them
            want_runs();
            bool cancelled = false, stopped = false;
            while (!was_hit(log_, name_) && Clock::now() < limit && !stopped &&
                   !daemon.process().wait(milliseconds{0})) {
                rig_.work().work_until(Clock::now() + milliseconds{10});
                if (needs_.lost_link && executes(kEndless)) cut_local_link();
                const bool may_cancel = needs_.lost_link ? shows_lost() : executes(kEndless);
                if (!cancelled && may_cancel) cancelled = rig_.work().cancel(kEndless);
                if (cancelled && needs_.lost_link) restore_worker();
                const bool over = rig_.work().is_done("short") && rig_.work().is_done("wide") && cancelled &&
                                  rig_.work().is_done(kEndless) && !needs_.backups && !needs_.lost_link;
                if (over) release_held();
                if (over && (needs_.fresh || rig_.work().is_done(kHeld))) stopped = true;
            }
            if (stopped) daemon.process().end(SIGTERM, seconds{30});
            rig_.work().work_until(Clock::now() + milliseconds{needs_.is_worker ? 100 : 0});
        }
        daemon.process().end(SIGKILL, seconds{20});
        rig_.work().daemon_died();
    }

    bool executes(const std::string& key) {
        const std::optional<RunId> run = rig_.work().id_of(key);
        return run && read_marks(rig_.trial().marks()).contains(run->value + ".1");
    }
    bool shows_lost() {
        const std::optional<RunId> run = rig_.work().id_of(kEndless);
        return run && rig_.work().state_of(*run) == language::RunState::kLost;
    }
    void cut_local_link() {
        if (!fs::exists(worker_) || was_cut_) return;
        was_cut_ = true;
        fs::remove(worker_);
        signal_workers("serve", SIGKILL);
    }
    void restore_worker() {
        if (!fs::exists(worker_)) fs::create_symlink(lab_.programs.worker, worker_);
    }

    const Lab& lab_;
    const std::string name_;
    const Needs needs_;
    Rig rig_;
    const fs::path log_, worker_;
    bool was_cut_ = false;
};

}  // namespace

Findings failpoint_section(const Lab& lab) {
    std::vector<std::string> names(std::begin(daemon::kFailpoints), std::end(daemon::kFailpoints));
    names.insert(names.end(), std::begin(worker_lab::kFailpoints), std::end(worker_lab::kFailpoints));
    std::erase_if(names, [](const std::string& name) {
        return std::find(kElsewhere.begin(), kElsewhere.end(), name) != kElsewhere.end();
    });
    if (!lab.only_failpoint.empty()) names = {lab.only_failpoint};
    Findings findings;
    std::vector<std::string> missed;
    for (const std::string& name : names) {
        if (!PointTrial(lab, name).run(findings.failures)) missed.push_back(name);
    }
    for (const std::string& name : missed)
        std::cout << "failpoint not reached: " << name << std::endl;
    findings.figures = {
        {"failpoints at which a program died",
         fmt::format("{} of {}", names.size() - missed.size(), names.size()), "all", missed.empty()},
        {"  trials with a violation", std::to_string(findings.failures), "0", findings.failures == 0}};
    return findings;
}

}  // namespace nsa::faults
