// Random SIGKILLs of a daemon that is being used, also in the middle of its recovery. Rounds of fifty share a
// data folder: after each kill the database is judged, after the last one everything.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <random>

#include "beacon.hpp"
#include "rig.hpp"

namespace nsa::faults {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int kKillsPerRound = 50;
constexpr int kLongestLife = 400;  // ms from the start to the kill
constexpr int kRecoveryLife = 60;  // ms: every second kill falls into the start and the recovery
constexpr int kMostFailures = 3;   // rounds; then the section ends
constexpr int kMeasuredRestarts = 10;
constexpr seconds kAdoptionLimit{30};
constexpr milliseconds kLook{2};  // how often the beacon is looked for: the resolution of that figure

struct Tally {
    int kills = 0, before_adoption = 0, lost = 0, doubled = 0, rerun = 0, other = 0, failures = 0;
    std::size_t runs = 0;
    std::vector<double> adoptions;  // ms
    double worst_serve = 0;         // ms from the start to the first answer, at the end of rounds
};

void count(const std::vector<Violation>& found, Tally& tally) {
    for (const Violation& one : found) {
        if (one.rule == "lost" || one.rule == "never ran" || one.rule == "unfinished") {
            ++tally.lost;
        } else if (one.rule == "doubled" || one.rule == "result doubled") {
            ++tally.doubled;
        } else if (one.rule == "re-run") {
            ++tally.rerun;
        } else {
            ++tally.other;
        }
    }
}

class Round {
  public:
    Round(const Lab& lab, std::uint64_t seed, int kills, Tally& tally)
        : kills_(kills),
          tally_(tally),
          random_(seed),
          rig_(lab, "kills", fmt::format("tests/faults/run --only kills --seed {} --kills {}", seed, kills),
               {.instances = {"", "h1", "h2"}, .script = {}}, seed),
          beacon_(rig_.trial()) {}

    void run() {
        std::vector<Violation> found = prepare();
        for (int kill = 0; kill < kills_ && found.empty(); ++kill) {
            live_and_die(kill);
            found = rig_.judge_now();
        }
        for (int i = 0; i < kMeasuredRestarts && found.empty(); ++i)
            measure_adoption(i);
        beacon_.finish();
        double served = 0;
        if (found.empty()) found = rig_.settle(&served);
        tally_.worst_serve = std::max(tally_.worst_serve, served);
        tally_.runs += rig_.work().finished();
        count(found, tally_);
        if (found.empty()) return;
        ++tally_.failures;
        report_failure(rig_.trial(), found);
    }

  private:
    std::vector<Violation> prepare() {
        LabDaemon daemon(rig_.trial(), rig_.released());
        if (!daemon.serves(rig_.io(), seconds{30})) return {{"no start", "the first daemon does not serve"}};
        const std::string refused = rig_.add_local_instances({"h1", "h2", "watch"});
        if (!refused.empty()) return {{"no start", refused}};
        rig_.work().add(Beacon::kKey, beacon_.script(), "watch");
        rig_.work().work_until(Clock::now() + milliseconds{300});
        daemon.process().end(SIGKILL, seconds{20});
        rig_.work().daemon_died();
        return {};
    }

    void live_and_die(int kill) {
        const bool early = random_() % 2 == 0;
        const milliseconds life(random_() % static_cast<unsigned>(early ? kRecoveryLife : kLongestLife));
        const std::string word = "w" + std::to_string(kill);
        beacon_.say(word);
        LabDaemon daemon(rig_.trial(), rig_.released());
        const Clock::time_point end = daemon.started() + life;
        const std::optional<RunId> run = rig_.work().id_of(Beacon::kKey);
        bool adopted = false;
        while (Clock::now() < end) {
            rig_.work().work_until(std::min(end, Clock::now() + kLook));
            adopted = adopted || (run && beacon_.is_home(run->value, word));
        }
        daemon.process().end(SIGKILL, seconds{20});
        rig_.work().daemon_died();
        ++tally_.kills;
        if (!adopted) ++tally_.before_adoption;
    }

    // Lives that end once the job is re-adopted: a kill at random would cut off the slow ones.
    void measure_adoption(int restart) {
        const std::optional<RunId> run = rig_.work().id_of(Beacon::kKey);
        if (!run) return;
        const std::string word = "m" + std::to_string(restart);
        beacon_.say(word);
        LabDaemon daemon(rig_.trial(), rig_.released());
        while (!beacon_.is_home(run->value, word) && Clock::now() < daemon.started() + kAdoptionLimit)
            rig_.work().work_until(Clock::now() + kLook);
        const std::chrono::duration<double, std::milli> took = Clock::now() - daemon.started();
        tally_.adoptions.push_back(took.count());
        daemon.process().end(SIGKILL, seconds{20});
        rig_.work().daemon_died();
    }

    const int kills_;
    Tally& tally_;
    std::mt19937_64 random_;
    Rig rig_;
    Beacon beacon_;
};

}  // namespace

Findings kill_section(const Lab& lab) {
    Tally tally;
    for (int round = 0; tally.kills < lab.counts.kills && tally.failures < kMostFailures; ++round) {
        const int kills = std::min(kKillsPerRound, lab.counts.kills - tally.kills);
        Round(lab, lab.seed + static_cast<std::uint64_t>(round), kills, tally).run();
    }
    Findings findings;
    findings.failures = tally.failures;
    const auto none = [&](const char* name, int n) {
        findings.figures.push_back({name, std::to_string(n), "0", n == 0});
    };
    findings.figures.push_back({"SIGKILLs of the daemon", std::to_string(tally.kills),
                                std::to_string(lab.counts.kills), tally.kills >= lab.counts.kills});
    findings.figures.push_back(
        {"  of them before the job was re-adopted", std::to_string(tally.before_adoption), ""});
    findings.figures.push_back({"  runs ended in these rounds", std::to_string(tally.runs), ""});
    none("  runs lost", tally.lost);
    none("  runs or results doubled", tally.doubled);
    none("  runs executed again", tally.rerun);
    none("  other violations", tally.other);
    findings.figures.push_back({"re-adoption after a restart", quantiles_text(tally.adoptions),
                                "p99 <= 5000 ms",
                                !tally.adoptions.empty() && quantile(tally.adoptions, 0.99) <= 5000,
                                /*time=*/true});
    findings.figures.push_back(
        {"slowest first answer after a restart", fmt::format("{:.0f} ms", tally.worst_serve), ""});
    return findings;
}

}  // namespace nsa::faults
