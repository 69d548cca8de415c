// Power cuts. The daemon's folder lies on an ext4 in a file; at a random moment the daemon is stopped and the
// file is copied: what had not reached it is gone, as after a power cut. Everything that was acknowledged
// must be in the copy.
#include <fmt/format.h>
#include <signal.h>

#include <random>

#include "rig.hpp"
#include "store/store.hpp"
#include "volume.hpp"

namespace nsa::faults {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::uint64_t kImageBytes = 64U << 20;
constexpr int kImagesPerRound = 40;
constexpr unsigned kLongestPause = 150;  // ms between images

struct Tally {
    int images = 0, lost = 0, half_results = 0, other = 0, failures = 0;
    std::size_t acknowledged = 0;  // summed over the images
};

// The files of published results and recorded reports, as they are in the copy.
void judge_files_in(const Books& books, const Trial& trial, const fs::path& copy,
                    std::vector<Violation>& found) {
    const auto moved = [&](const fs::path& path) { return copy / path.lexically_relative(trial.volume()); };
    for (const auto& [id, run] : books.runs) {
        for (const auto& [path, file] : run.artifacts) {
            if (sha256_of_file(moved(fs::path{run.artifact_dir} / path)) != file.sha256)
                found.push_back({"half result", id + ": " + path});
        }
        for (const BookReport& report : run.reports) {
            const fs::path path{report.path};
            const fs::path whole = path.is_absolute() ? path : trial.artifacts() / id / path;
            if (sha256_of_file(moved(whole)) != report.sha256)
                found.push_back({"half result", id + ": " + report.path});
        }
    }
}

class Round {
  public:
    Round(const Lab& lab, std::uint64_t seed, int images, Tally& tally,
          std::vector<std::string> environment = {})
        : images_(images),
          environment_(std::move(environment)),
          tally_(tally),
          random_(seed),
          rig_(lab, "images",
               fmt::format("tests/faults/run --only images --seed {} --images {}", seed, images),
               {.instances = {"", "h1", "h2"}, .in_flight = 8, .cancel_percent = 2, .script = {}}, seed),
          image_(rig_.trial().root() / "disk.img"),
          disk_((make_ext4(image_, kImageBytes), Mount::image(image_, rig_.trial().root() / "disk"))) {
        rig_.use_volume(disk_.at());
    }

    // The planted bug must be found: nothing is brought to an end or reported.
    std::vector<Violation> run_planted() { return take_all(); }

    void run() {
        std::vector<Violation> found = take_all();
        if (found.empty()) found = rig_.settle();
        for (const Violation& one : found) {
            ++(one.rule == "lost"          ? tally_.lost
               : one.rule == "half result" ? tally_.half_results
                                           : tally_.other);
        }
        if (found.empty()) return;
        ++tally_.failures;
        report_failure(rig_.trial(), found);
    }

  private:
    std::vector<Violation> take_all() {
        DaemonSetup setup = rig_.released();
        setup.environment = environment_;
        LabDaemon daemon(rig_.trial(), setup);
        if (!daemon.serves(rig_.io(), seconds{30})) return {{"no start", "the daemon does not serve"}};
        if (const std::string refused = rig_.add_local_instances({"h1", "h2"}); !refused.empty())
            return {{"no start", refused}};
        std::vector<Violation> found;
        for (int i = 0; i < images_ && found.empty(); ++i) {
            rig_.work().work_until(Clock::now() + milliseconds(5 + random_() % kLongestPause));
            daemon.process().signal(SIGSTOP);
            const Submissions told = rig_.work().submissions();
            copy_image();
            daemon.process().signal(SIGCONT);
            found = judge_copy(told);
            ++tally_.images;
        }
        daemon.process().end(SIGKILL, seconds{20});
        rig_.work().daemon_died();
        return found;
    }

    // The kernel may write behind our back while we copy: then the copy mixes two moments, and is taken
    // again.
    void copy_image() {
        constexpr int kTries = 20;
        for (int i = 0; i < kTries; ++i) {
            const std::uint64_t before = disk_.device_writes();
            fs::copy_file(image_, copy_, fs::copy_options::overwrite_existing);
            if (disk_.device_writes() == before) return;
        }
        throw std::runtime_error{"the image never stands still"};
    }

    std::vector<Violation> judge_copy(const Submissions& told) {
        const Mount copy = Mount::image(copy_, rig_.trial().root() / "copy");
        const fs::path state = copy.at() / "state";
        std::vector<Violation> found;
        Books books;
        try {
            books = read_books(state, rig_.trial().root() / "scratch");
        } catch (const std::exception& error) {
            return {{"damaged", error.what()}};
        }
        for (const std::string& damage : books.damage)
            found.push_back({"damaged", damage});
        for (const auto& [key, submission] : told) {
            if (!submission.run) continue;
            ++tally_.acknowledged;
            if (!books.runs.contains(*submission.run)) found.push_back({"lost", *submission.run});
        }
        judge_files_in(books, rig_.trial(), copy.at(), found);
        if (const Result<store::Store> opened = store::Store::open(state / "nsa.db"); !opened)
            found.push_back({"damaged", "nsad refuses the file: " + opened.error().describe()});
        return found;
    }

    const int images_;
    const std::vector<std::string> environment_;
    Tally& tally_;
    std::mt19937_64 random_;
    Rig rig_;
    const fs::path image_, copy_ = rig_.trial().root() / "copy.img";
    const Mount disk_;
};

// A daemon whose syncs do nothing loses what it acknowledged. A section that does not see that proves
// nothing.
Figure planted_figure(const Lab& lab) {
    constexpr int kPlanted = 10;
    Tally ignored;
    const std::vector<Violation> found =
        Round(lab, lab.seed, kPlanted, ignored,
              {"LD_PRELOAD=" + lab.programs.io_faults.string(), "NSA_IO_FAULT=sync:1:skip"})
            .run_planted();
    const std::string value = found.empty() ? "not seen" : "seen: " + found.front().rule;
    return {"  planted: a daemon that syncs nothing", value, "seen", !found.empty()};
}

}  // namespace

Findings image_section(const Lab& lab) {
    if (const std::string refused = enter_mount_namespace(); !refused.empty())
        return not_run("power-cut images", refused);
    constexpr int kMostFailures = 3;
    Tally tally;
    for (int round = 0; tally.images < lab.counts.images && tally.failures < kMostFailures; ++round) {
        const int images = std::min(kImagesPerRound, lab.counts.images - tally.images);
        Round(lab, lab.seed + static_cast<std::uint64_t>(round), images, tally).run();
    }
    Findings findings;
    const Figure planted = planted_figure(lab);
    findings.failures = tally.failures + (planted.met ? 0 : 1);
    findings.figures = {{"power-cut images", std::to_string(tally.images), std::to_string(lab.counts.images),
                         tally.images >= lab.counts.images},
                        {"  acknowledged submissions looked for", std::to_string(tally.acknowledged), ""},
                        {"  of them lost", std::to_string(tally.lost), "0", tally.lost == 0},
                        {"  published results with a missing byte", std::to_string(tally.half_results), "0",
                         tally.half_results == 0},
                        {"  other violations", std::to_string(tally.other), "0", tally.other == 0},
                        planted};
    return findings;
}

}  // namespace nsa::faults
