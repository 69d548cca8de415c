// A job that writes its log as fast as it can, beside one that writes a line now and then: how late the other
// one's lines come home meanwhile, and how large the daemon grows.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "beacon.hpp"
#include "rig.hpp"

namespace nsa::faults {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr const char* kFloodKey = "flood";
constexpr milliseconds kLook{1};    // how often the line is looked for: the resolution of the lag
constexpr milliseconds kEvery{50};  // from a line's arrival to the next line
constexpr seconds kPatience{60}, kLongestFlood{1800};
constexpr double kLongestLag = 1000;  // ms
constexpr long kMostKib = 128 << 10;

double ms_since(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

class Flood {
  public:
    explicit Flood(const Lab& lab)
        : bytes_(static_cast<std::uintmax_t>(lab.counts.flood_mib) << 20),
          rig_(lab, "flood",
               fmt::format("tests/faults/run --only flood --flood-mib {}", lab.counts.flood_mib),
               {.instances = {}, .in_flight = 0, .cancel_percent = 0, .script = {}}, lab.seed),
          beacon_(rig_.trial()) {}

    std::vector<Violation> run() {
        LabDaemon daemon(rig_.trial(), rig_.released());
        if (!daemon.serves(rig_.io(), seconds{30})) return {{"no start", "the daemon does not serve"}};
        if (const std::string refused = rig_.add_local_instances({"loud", "watch"}); !refused.empty())
            return {{"no start", refused}};
        rig_.work().add(Beacon::kKey, beacon_.script(), "watch");
        if (word_home("first", kPatience) < 0) return {{"no start", "the quiet job does not start"}};
        rig_.work().add(
            kFloodKey,
            marked(rig_.trial(),
                   fmt::format("yes 'a line of a log that nobody will read' | head -c {}", bytes_)),
            "loud");
        if (const std::string failed = measure(); !failed.empty()) return {{"unfinished", failed}};
        peak_kib_ = daemon.process().peak_kib();
        beacon_.finish();
        if (const std::string open = rig_.work().settle(kPatience); !open.empty())
            return {{"unfinished", open}};
        if (!daemon.stop()) return {{"no end", "the daemon does not end within 5 s of SIGTERM"}};
        return rig_.settle();
    }

    Trial& trial() { return rig_.trial(); }
    const std::vector<double>& lags() const { return lags_; }  // ms
    double seconds_taken() const { return took_; }
    long peak_kib() const { return peak_kib_; }

  private:
    // ms until the word was home; below zero: not within the limit.
    double word_home(const std::string& word, milliseconds limit) {
        const Clock::time_point said = Clock::now();
        beacon_.say(word);
        while (Clock::now() < said + limit) {
            const std::optional<RunId> run = rig_.work().id_of(Beacon::kKey);
            if (run && beacon_.is_home(run->value, word)) return ms_since(said);
            rig_.work().work_until(Clock::now() + kLook);
        }
        return -1;
    }

    std::uintmax_t flood_home() {
        const std::optional<RunId> run = rig_.work().id_of(kFloodKey);
        std::error_code ec;
        const std::uintmax_t size =
            run ? fs::file_size(rig_.trial().artifacts() / run->value / "1/steps/s/stdout", ec) : 0;
        return ec ? 0 : size;
    }

    // From the first byte of the flood at home to its last one. Empty, or what went wrong.
    std::string measure() {
        const Clock::time_point asked = Clock::now();
        while (flood_home() == 0) {
            if (Clock::now() > asked + kPatience) return "not a byte of the flood comes home";
            rig_.work().work_until(Clock::now() + kLook);
        }
        const Clock::time_point begin = Clock::now();
        while (flood_home() < bytes_) {
            if (Clock::now() > begin + kLongestFlood) return "the flood does not come home";
            const double lag = word_home("w" + std::to_string(lags_.size()), kPatience);
            if (lag < 0) return "a line of the quiet job does not come home";
            lags_.push_back(lag);
            rig_.work().work_until(Clock::now() + kEvery);
        }
        took_ = ms_since(begin) / 1000;
        return {};
    }

    const std::uintmax_t bytes_;
    Rig rig_;
    Beacon beacon_;
    std::vector<double> lags_;
    double took_ = 0;
    long peak_kib_ = 0;
};

}  // namespace

Findings flood_section(const Lab& lab) {
    Flood flood(lab);
    const std::vector<Violation> found = flood.run();
    Findings findings;
    if (!found.empty()) {
        findings.failures = 1;
        report_failure(flood.trial(), found);
    }
    const std::vector<double>& lags = flood.lags();
    const double worst = lags.empty() ? std::nan("") : *std::max_element(lags.begin(), lags.end());
    findings.figures = {
        {"log of one run, written at full speed",
         fmt::format("{} MiB home in {:.1f} s", lab.counts.flood_mib, flood.seconds_taken()), ""},
        {"  log lag of another run meanwhile", quantiles_text(lags), ""},
        {"  the slowest of them", fmt::format("{:.0f} ms", worst), "< 1000 ms", worst < kLongestLag,
         /*time=*/true},
        {"  memory of the daemon at its peak", fmt::format("{} MiB", flood.peak_kib() >> 10), "<= 128 MiB",
         flood.peak_kib() > 0 && flood.peak_kib() <= kMostKib},
        {"  violations", std::to_string(found.size()), "0", found.empty()}};
    return findings;
}

}  // namespace nsa::faults
