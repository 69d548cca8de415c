// A link that dies without a word: a black hole, and a server that is gone while the client is not told. The
// daemon must notice by itself, the job goes on, and after the link is back its log is whole.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "ssh_rig.hpp"
#include "support/run.hpp"
#include "support/temp_dir.hpp"

namespace nsa::faults {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::array kCuts{Cut::kBlackhole, Cut::kHalfOpen};
constexpr std::array kNames{"black hole", "half-open link"};
constexpr double kGoal = 20;  // s
constexpr seconds kPatience{60};

class DeadLinks {
  public:
    explicit DeadLinks(const Lab& lab)
        : boxes_(lab, "dead-link", "tests/faults/run --only dead-link", static_cast<int>(kCuts.size()),
                 {.instances = {}, .in_flight = 0, .cancel_percent = 0, .script = {}}, lab.seed) {
        noticed_.fill(-1);
    }

    std::vector<Violation> run() {
        Rig& rig = boxes_.rig();
        LabDaemon daemon(rig.trial(), rig.released());
        if (!daemon.serves(rig.io(), seconds{30})) return {{"no start", "the daemon does not serve"}};
        if (const std::string refused = boxes_.add_boxes(); !refused.empty()) return {{"no start", refused}};
        const std::string flag = (rig.trial().root() / "flag").string();
        const std::string script = "echo one\nwhile [ ! -e '" + flag +
                                   "' ]; do sleep 0.05; done\nhead -c 100000 /dev/urandom | base64";
        for (std::size_t i = 0; i < kCuts.size(); ++i)
            rig.work().add(key(i), marked(rig.trial(), script), SshRig::box_name(static_cast<int>(i)));
        if (!wait_until([&] { return read_marks(rig.trial().marks()).size() == kCuts.size(); }))
            return {{"no start", "the jobs do not start"}};
        const Clock::time_point cut = Clock::now();
        for (std::size_t i = 0; i < kCuts.size(); ++i)
            boxes_.proxy(static_cast<int>(i)).cut_after(kCuts[i], 0);
        if (!wait_until([&] { return look(cut); })) return {{"not noticed", "a dead link, within 60 s"}};
        for (std::size_t i = 0; i < kCuts.size(); ++i)
            boxes_.proxy(static_cast<int>(i)).heal();
        test::write_file(flag, "");
        const std::string open = rig.work().settle(seconds{120});
        if (!open.empty()) return {{"unfinished", open}};
        if (!daemon.stop()) return {{"no end", "the daemon does not end within 5 s of SIGTERM"}};
        return rig.settle();
    }

    Trial& trial() { return boxes_.rig().trial(); }
    // s from the cut until the daemon showed the instance as not ready; -1: never.
    const std::array<double, kCuts.size()>& noticed() const { return noticed_; }

  private:
    static std::string key(std::size_t i) { return "job" + std::to_string(i); }

    template <class Condition>
    bool wait_until(Condition holds) {
        const Clock::time_point deadline = Clock::now() + kPatience;
        while (!holds() && Clock::now() < deadline)
            boxes_.rig().work().work_until(Clock::now() + milliseconds{20});
        return holds();
    }

    // The first moment at which an instance is not "ready" any more. True once all were seen.
    bool look(Clock::time_point cut) {
        Rig& rig = boxes_.rig();
        const auto instances = test::run(rig.io(), rig.work().api().list_instances(), kAnswered);
        if (!instances) return false;
        for (const api::InstanceView& one : *instances) {
            for (std::size_t i = 0; i < kCuts.size(); ++i) {
                if (one.name.value != SshRig::box_name(static_cast<int>(i)) || one.state == "ready") continue;
                if (noticed_[i] < 0) noticed_[i] = std::chrono::duration<double>(Clock::now() - cut).count();
            }
        }
        return std::all_of(noticed_.begin(), noticed_.end(), [](double s) { return s >= 0; });
    }

    SshRig boxes_;
    std::array<double, kCuts.size()> noticed_{};
};

}  // namespace

Findings dead_link_section(const Lab& lab) {
    DeadLinks links(lab);
    const std::vector<Violation> found = links.run();
    Findings findings;
    if (!found.empty()) {
        findings.failures = 1;
        report_failure(links.trial(), found);
    }
    for (std::size_t i = 0; i < kCuts.size(); ++i) {
        const double took = links.noticed()[i];
        findings.figures.push_back({fmt::format("{} noticed after", kNames[i]), fmt::format("{:.1f} s", took),
                                    "<= 20 s", took >= 0 && took <= kGoal, /*time=*/true});
    }
    return findings;
}

}  // namespace nsa::faults
