// Links that are cut at random bytes while runs stream logs and artifacts over them. Whatever happens to the
// links, each run is executed once and its log and files arrive byte for byte.
#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "ssh_rig.hpp"

namespace nsa::faults {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int kBoxes = 8, kCutsPerRound = 250;
constexpr int kLogBytes = 400'000, kFileBytes = 250'000;  // of a run, about
constexpr unsigned kFarthestCut = 500'000;                // bytes from one cut to the next
constexpr seconds kRoundLimit{300};

// Half-open and black holes are noticed by silence only, after up to 20 s: few.
Cut draw_cut(std::mt19937_64& random) {
    const unsigned n = static_cast<unsigned>(random() % 100);
    if (n == 0) return Cut::kBlackhole;
    if (n == 1) return Cut::kHalfOpen;
    return n < 51 ? Cut::kReset : Cut::kClose;
}

struct Tally {
    int cuts = 0, differing = 0, other = 0, failures = 0;
    std::size_t runs = 0;
    std::uint64_t bytes = 0;
};

std::string flood(const Trial& trial) {
    return marked(trial, fmt::format("head -c {} /dev/urandom | base64\nhead -c {} /dev/urandom > data.txt",
                                     kLogBytes * 3 / 4, kFileBytes));
}

class Round {
  public:
    Round(const Lab& lab, std::uint64_t seed, int cuts, Tally& tally)
        : cuts_(cuts),
          tally_(tally),
          random_(seed),
          boxes_(lab, "cuts", fmt::format("tests/faults/run --only cuts --seed {} --cuts {}", seed, cuts),
                 kBoxes, {.instances = {}, .in_flight = 2 * kBoxes, .cancel_percent = 0, .script = {}},
                 seed) {
        boxes_.rig().work().use_script([this](int) { return flood(boxes_.rig().trial()); });
    }

    void run() {
        std::vector<Violation> found = cut_links();
        if (found.empty()) found = boxes_.rig().settle();
        tally_.cuts += boxes_.cuts();
        tally_.runs += boxes_.rig().work().finished();
        for (int box = 0; box < kBoxes; ++box)
            tally_.bytes += boxes_.proxy(box).bytes_to_client();
        for (const Violation& one : found)
            ++(one.rule == "log differs" || one.rule == "artifact differs" ? tally_.differing : tally_.other);
        if (found.empty()) return;
        ++tally_.failures;
        report_failure(boxes_.rig().trial(), found);
    }

  private:
    std::vector<Violation> cut_links() {
        Rig& rig = boxes_.rig();
        LabDaemon daemon(rig.trial(), rig.released());
        if (!daemon.serves(rig.io(), seconds{30})) return {{"no start", "the daemon does not serve"}};
        if (const std::string refused = boxes_.add_boxes(); !refused.empty()) return {{"no start", refused}};
        std::vector<int> seen(kBoxes, -1);  // cuts of the box when it was armed last
        const Clock::time_point give_up = Clock::now() + kRoundLimit;
        while (boxes_.cuts() < cuts_) {
            if (Clock::now() > give_up) return {{"unfinished", "the links are not cut: nothing flows"}};
            for (int box = 0; box < kBoxes; ++box) {
                const int now = boxes_.proxy(box).cuts();
                if (std::exchange(seen[static_cast<std::size_t>(box)], now) == now) continue;
                boxes_.proxy(box).cut_after(draw_cut(random_), 1 + random_() % kFarthestCut);
            }
            rig.work().work_until(Clock::now() + milliseconds{10});
        }
        for (int box = 0; box < kBoxes; ++box) {
            boxes_.proxy(box).disarm();
            boxes_.proxy(box).heal();  // the host's sshd never hears of a black hole
        }
        const std::string open = rig.work().settle(seconds{200});
        if (!open.empty()) return {{"unfinished", open}};
        if (!daemon.stop()) return {{"no end", "the daemon does not end within 5 s of SIGTERM"}};
        return {};
    }

    const int cuts_;
    Tally& tally_;
    std::mt19937_64 random_;
    SshRig boxes_;
};

}  // namespace

Findings cut_section(const Lab& lab) {
    constexpr int kMostFailures = 3;
    Tally tally;
    for (int round = 0; tally.cuts < lab.counts.cuts && tally.failures < kMostFailures; ++round) {
        const int cuts = std::min(kCutsPerRound, lab.counts.cuts - tally.cuts);
        Round(lab, lab.seed + static_cast<std::uint64_t>(round), cuts, tally).run();
    }
    Findings findings;
    findings.failures = tally.failures;
    findings.figures = {
        {"link cuts (reset, FIN, half-open, black hole)", std::to_string(tally.cuts),
         std::to_string(lab.counts.cuts), tally.cuts >= lab.counts.cuts},
        {"  runs carried over these links", fmt::format("{}, {} MB", tally.runs, tally.bytes / 1'000'000),
         ""},
        {"  logs and artifacts that differ", std::to_string(tally.differing), "0", tally.differing == 0},
        {"  other violations", std::to_string(tally.other), "0", tally.other == 0}};
    return findings;
}

}  // namespace nsa::faults
