// A cut at every 4 KiB of the stream that carries a 4 MiB artifact: one run for each point.
#include <fmt/format.h>

#include <algorithm>

#include "ssh_rig.hpp"

namespace nsa::faults {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int kBoxes = 8, kPointsPerRound = 64;
constexpr int kAllPoints = 1024;
constexpr std::uint64_t kStep = 4096, kArtifact = kAllPoints * kStep;
constexpr seconds kRoundLimit{300};

struct Tally {
    int points = 0, differing = 0, other = 0, failures = 0;
};

// A box works through its points, one run each: ready -> armed, released -> cut -> done.
struct Box {
    std::vector<int> points;
    std::size_t at = 0;
    bool asked = false, armed = false;
    int cuts_before = 0;
};

class Round {
  public:
    Round(const Lab& lab, std::vector<int> points, Tally& tally)
        : tally_(tally),
          count_(static_cast<int>(points.size())),
          boxes_(lab, "points",
                 fmt::format("tests/faults/run --only points --cut-points {}", lab.counts.cut_points), kBoxes,
                 {.instances = {}, .in_flight = 0, .cancel_percent = 0, .script = {}}, lab.seed),
          lines_(kBoxes) {
        for (std::size_t i = 0; i < points.size(); ++i)
            lines_[i % kBoxes].points.push_back(points[i]);
    }

    void run() {
        std::vector<Violation> found = cut_all();
        if (found.empty()) found = boxes_.rig().settle();
        if (found.empty()) tally_.points += count_;
        for (const Violation& one : found)
            ++(one.rule == "log differs" || one.rule == "artifact differs" ? tally_.differing : tally_.other);
        if (found.empty()) return;
        ++tally_.failures;
        report_failure(boxes_.rig().trial(), found);
    }

  private:
    fs::path sign(const char* name, int point) {
        return boxes_.rig().trial().root() / fmt::format("{}{}", name, point);
    }
    static std::string key(int point) { return fmt::format("point{}", point); }

    std::string script(int point) {
        return marked(
            boxes_.rig().trial(),
            fmt::format(
                "head -c {} /dev/urandom > data.txt\n: > '{}'\nwhile [ ! -e '{}' ]; do sleep 0.01; done",
                kArtifact, sign("ready", point).string(), sign("go", point).string()));
    }

    // True while the box has something left to do.
    bool advance(int number) {
        Box& box = lines_[static_cast<std::size_t>(number)];
        if (box.at == box.points.size()) return false;
        const int point = box.points[box.at];
        FaultProxy& proxy = boxes_.proxy(number);
        if (!std::exchange(box.asked, true))
            boxes_.rig().work().add(key(point), script(point), SshRig::box_name(number));
        if (!box.armed && fs::exists(sign("ready", point))) {
            box.armed = true;
            box.cuts_before = proxy.cuts();
            proxy.cut_after(point % 2 == 0 ? Cut::kReset : Cut::kClose,
                            static_cast<std::uint64_t>(point) * kStep);
            test::write_file(sign("go", point), "");
        }
        if (!boxes_.rig().work().is_done(key(point))) return true;
        if (proxy.cuts() == box.cuts_before) uncut_.push_back(point);
        proxy.disarm();
        box.asked = box.armed = false;
        ++box.at;
        return true;
    }

    std::vector<Violation> cut_all() {
        Rig& rig = boxes_.rig();
        LabDaemon daemon(rig.trial(), rig.released());
        if (!daemon.serves(rig.io(), seconds{30})) return {{"no start", "the daemon does not serve"}};
        if (const std::string refused = boxes_.add_boxes(); !refused.empty()) return {{"no start", refused}};
        const Clock::time_point give_up = Clock::now() + kRoundLimit;
        for (bool busy = true; busy;) {
            if (Clock::now() > give_up) return {{"unfinished", "a run with a cut link has no end"}};
            busy = false;
            for (int box = 0; box < kBoxes; ++box)
                busy = advance(box) || busy;
            rig.work().work_until(Clock::now() + milliseconds{15});
        }
        if (!uncut_.empty())
            return {{"not cut", fmt::format("the stream ended before byte {}", uncut_.front() * kStep)}};
        const std::string open = rig.work().settle(seconds{200});
        if (!open.empty()) return {{"unfinished", open}};
        if (!daemon.stop()) return {{"no end", "the daemon does not end within 5 s of SIGTERM"}};
        return {};
    }

    Tally& tally_;
    const int count_;
    SshRig boxes_;
    std::vector<Box> lines_;
    std::vector<int> uncut_;
};

}  // namespace

Findings cut_point_section(const Lab& lab) {
    constexpr int kMostFailures = 3;
    const int wanted = std::clamp(lab.counts.cut_points, 1, kAllPoints);
    std::vector<int> points;  // spread evenly when not all are asked for
    for (int i = 0; i < wanted; ++i)
        points.push_back(1 + static_cast<int>(static_cast<std::int64_t>(i) * kAllPoints / wanted));
    Tally tally;
    for (std::size_t at = 0; at < points.size() && tally.failures < kMostFailures; at += kPointsPerRound) {
        const std::size_t end = std::min(points.size(), at + kPointsPerRound);
        const auto first = points.begin();
        Round(lab, {first + static_cast<std::ptrdiff_t>(at), first + static_cast<std::ptrdiff_t>(end)}, tally)
            .run();
    }
    Findings findings;
    findings.failures = tally.failures;
    findings.figures = {
        {"cut points, every 4 KiB of a 4 MiB artifact", fmt::format("{} of {}", tally.points, kAllPoints),
         std::to_string(wanted), tally.points >= wanted},
        {"  logs and artifacts that differ", std::to_string(tally.differing), "0", tally.differing == 0},
        {"  other violations", std::to_string(tally.other), "0", tally.other == 0}};
    return findings;
}

}  // namespace nsa::faults
