// The daemon's disk is full while runs execute: new work is refused with the reason, what executes is
// recorded all the same, and once there is space everything goes on by itself.
#include <fmt/format.h>
#include <signal.h>

#include <fstream>

#include "rig.hpp"
#include "specs.hpp"
#include "support/run.hpp"
#include "support/temp_dir.hpp"
#include "volume.hpp"

namespace nsa::faults {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::uint64_t kVolumeBytes = 96U << 20;
constexpr seconds kPatience{30};

class FullDisk {
  public:
    explicit FullDisk(const Lab& lab)
        : rig_(lab, "full-disk", "tests/faults/run --only full-disk",
               {.instances = {""}, .in_flight = 0, .cancel_percent = 0, .script = {}}, lab.seed),
          disk_(Mount::tmpfs(rig_.trial().root() / "disk", kVolumeBytes)) {
        rig_.use_volume(disk_.at());
    }

    std::vector<Violation> run() {
        LabDaemon daemon(rig_.trial(), rig_.released());
        if (!daemon.serves(rig_.io(), seconds{30})) return {{"no start", "the daemon does not serve"}};
        const fs::path flag = rig_.trial().root() / "flag";
        rig_.work().add(
            "job",
            marked(rig_.trial(), "while [ ! -e '" + flag.string() + "' ]; do sleep 0.02; done\necho end"),
            "");
        if (!wait_until([&] { return !read_marks(rig_.trial().marks()).empty(); }))
            return {{"no start", "the job does not start"}};
        fill();
        if (!wait_until([&] { return refuses(); })) return {{"not refused", "a full disk takes new runs"}};
        test::write_file(flag, "");  // the job ends while the disk is full
        rig_.work().work_until(Clock::now() + seconds{2});
        if (daemon.process().wait(milliseconds{0}))
            return {{"died", "the daemon does not survive a full disk"}};
        fs::remove(disk_.at() / "filler");
        const auto freed = Clock::now();
        rig_.work().add("late", late_script(), "");  // what was refused is asked for again
        if (!wait_until([&] { return rig_.work().is_done("job") && rig_.work().id_of("late"); }))
            return {
                {"unfinished", "the job's end is not recorded, or new runs not taken, once there is space"}};
        resumed_ = std::chrono::duration<double>(Clock::now() - freed).count();
        if (const std::string open = rig_.work().settle(kPatience); !open.empty())
            return {{"unfinished", open}};
        if (!daemon.stop()) return {{"no end", "the daemon does not end within 5 s of SIGTERM"}};
        return rig_.settle();
    }

    Trial& trial() { return rig_.trial(); }
    double resumed() const { return resumed_; }

  private:
    template <class Condition>
    bool wait_until(Condition holds) {
        const Clock::time_point deadline = Clock::now() + kPatience;
        while (!holds() && Clock::now() < deadline)
            rig_.work().work_until(Clock::now() + milliseconds{20});
        return holds();
    }

    void fill() const {
        std::ofstream filler{disk_.at() / "filler", std::ios::binary};
        for (const std::size_t size : {std::size_t{1} << 20, std::size_t{4096}}) {
            const std::string block(size, 'x');
            while (filler.write(block.data(), static_cast<std::streamsize>(size)) && filler.flush()) {
            }
            filler.clear();
        }
    }

    std::string late_script() { return marked(rig_.trial(), "echo late"); }

    bool refuses() {
        api::SubmitRequest request;
        request.spec_yaml = test::shell_spec(late_script());
        request.file = "lab.yaml";
        request.idempotency_key = "late";
        const Result<api::SubmitReply> reply =
            test::run(rig_.io(), rig_.work().api().submit(request), kAnswered);
        return !reply && reply.error().code == ErrorCode::kNoSpace;
    }

    Rig rig_;
    const Mount disk_;
    double resumed_ = -1;
};

}  // namespace

Findings full_disk_section(const Lab& lab) {
    if (const std::string refused = enter_mount_namespace(); !refused.empty())
        return not_run("full disk of the daemon", refused);
    FullDisk disk(lab);
    const std::vector<Violation> found = disk.run();
    Findings findings;
    findings.figures = {
        {"full disk of the daemon",
         found.empty() ? fmt::format("refused, resumed after {:.1f} s", disk.resumed()) : found[0].text,
         "refuses, resumes", found.empty()}};
    if (!found.empty()) {
        findings.failures = 1;
        report_failure(disk.trial(), found);
    }
    return findings;
}

}  // namespace nsa::faults
