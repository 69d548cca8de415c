// The daemon under failing system calls: the k-th write, sync, rename or truncate fails with EIO or ENOSPC,
// or the daemon is killed in its place. Whatever it answered before must hold, and a healthy daemon must be
// able to go on.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <random>

#include "rig.hpp"
#include "support/temp_dir.hpp"

namespace nsa::faults {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int kFaultsPerRound = 25;
constexpr milliseconds kLife{700};

struct CallClass {
    const char* name;
    unsigned calls;  // about so many happen in a life
};
constexpr std::array kClasses{CallClass{"write", 250}, CallClass{"sync", 60}, CallClass{"rename", 4},
                              CallClass{"truncate", 4}};
constexpr std::array kActions{"eio", "enospc", "kill"};

struct Tally {
    int asked = 0, fired = 0, violations = 0, failures = 0;
};

class Round {
  public:
    Round(const Lab& lab, std::uint64_t seed, int faults, Tally& tally)
        : lab_(lab),
          faults_(faults),
          tally_(tally),
          random_(seed),
          rig_(lab, "io", fmt::format("tests/faults/run --only io --seed {} --io-faults {}", seed, faults),
               {.instances = {"", "h1"}, .in_flight = 4, .cancel_percent = 3, .script = {}}, seed),
          log_(rig_.trial().root() / "io_faults") {}

    void run() {
        std::vector<Violation> found = prelude();
        const std::uintmax_t before = tally_.fired;
        for (int i = 0; i < faults_ && found.empty(); ++i) {
            live();
            found = rig_.judge_now();
        }
        tally_.asked += faults_;
        tally_.fired = static_cast<int>(before) + fired();
        if (found.empty()) found = rig_.settle();
        tally_.violations += static_cast<int>(found.size());
        if (found.empty()) return;
        ++tally_.failures;
        report_failure(rig_.trial(), found);
    }

  private:
    std::vector<Violation> prelude() {
        LabDaemon daemon(rig_.trial(), rig_.released());
        if (!daemon.serves(rig_.io(), seconds{30})) return {{"no start", "the first daemon does not serve"}};
        if (const std::string refused = rig_.add_local_instances({"h1"}); !refused.empty())
            return {{"no start", refused}};
        daemon.process().end(SIGKILL, seconds{20});
        return {};
    }

    void live() {
        const CallClass& calls = kClasses[random_() % kClasses.size()];
        const std::string order = fmt::format("{}:{}:{}", calls.name, 1 + random_() % calls.calls,
                                              kActions[random_() % kActions.size()]);
        DaemonSetup setup = rig_.released();
        setup.environment = {"LD_PRELOAD=" + lab_.programs.io_faults.string(), "NSA_IO_FAULT=" + order,
                             "NSA_IO_FAULT_PROGRAM=" + setup.nsad.filename().string(),
                             "NSA_IO_FAULT_LOG=" + log_.string()};
        LabDaemon daemon(rig_.trial(), setup);
        const Clock::time_point end = daemon.started() + kLife;
        while (Clock::now() < end && !daemon.process().wait(milliseconds{0}))
            rig_.work().work_until(std::min(end, Clock::now() + milliseconds{10}));
        daemon.process().end(SIGKILL, seconds{20});
        rig_.work().daemon_died();
    }

    // Orders that took effect: each wrote itself, and all begin with one of the class names.
    int fired() const {
        const std::string text = std::filesystem::exists(log_) ? test::read_file(log_) : "";
        int count = 0;
        for (const CallClass& calls : kClasses) {
            const std::string begin = std::string{calls.name} + ":";
            for (std::size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1))
                ++count;
        }
        return count;
    }

    const Lab& lab_;
    const int faults_;
    Tally& tally_;
    std::mt19937_64 random_;
    Rig rig_;
    const std::filesystem::path log_;
};

}  // namespace

Findings io_fault_section(const Lab& lab) {
    constexpr int kMostFailures = 3;
    Tally tally;
    for (int round = 0; tally.asked < lab.counts.io_faults && tally.failures < kMostFailures; ++round) {
        const int faults = std::min(kFaultsPerRound, lab.counts.io_faults - tally.asked);
        Round(lab, lab.seed + static_cast<std::uint64_t>(round), faults, tally).run();
    }
    Findings findings;
    findings.failures = tally.failures;
    findings.figures = {
        {"lives with a failing system call", std::to_string(tally.asked),
         std::to_string(lab.counts.io_faults), tally.asked >= lab.counts.io_faults},
        {"  of them where it took effect", std::to_string(tally.fired), "> 0", tally.fired > 0},
        {"  violations", std::to_string(tally.violations), "0", tally.violations == 0}};
    return findings;
}

}  // namespace nsa::faults
