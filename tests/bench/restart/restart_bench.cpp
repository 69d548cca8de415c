// restart_bench [RUNS [RESTARTS [SPEC]]]: a daemon with RUNS (10,000) queued runs of the spec (one small
// case) is killed and started RESTARTS (5) times. Prints JSON lines: seconds from the start of the process to
// its service, memory of the process, and milliseconds of a submission. $TMPDIR says which disk.
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "many_runs.hpp"
#include "nsad_process.hpp"
#include "specs.hpp"

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

void print(const char* what, const char* unit, std::vector<double> samples) {
    std::sort(samples.begin(), samples.end());
    const std::size_t n = samples.size();
    std::printf(
        "{\"bench\":\"%s\",\"unit\":\"%s\",\"n\":%zu,\"min\":%.3f,\"median\":%.3f,\"p99\":%.3f,\"max\":%.3f}"
        "\n",
        what, unit, n, samples.front(), samples[n / 2], samples[std::min(n - 1, n * 99 / 100)],
        samples.back());
    std::fflush(stdout);
}

void bench(int runs, int restarts, const std::string& spec) {
    using namespace nsa::test;
    constexpr int kSubmissions = 200;
    const TempDir dir;
    std::filesystem::create_directories(dir / "state");
    fill_store(dir / "state" / "nsa.db", runs, spec);
    std::vector<double> starts, submissions, peaks, memory;
    for (int i = 0; i < restarts; ++i) {
        const Clock::time_point begin = Clock::now();
        NsadProcess nsad(dir.path());
        starts.push_back(seconds_since(begin));
        for (int k = 0; i == 0 && k < kSubmissions; ++k) {
            const Clock::time_point asked = Clock::now();
            nsad.submit(spec, "box");
            submissions.push_back(seconds_since(asked) * 1e3);
        }
        peaks.push_back(static_cast<double>(nsad.peak_kib()) / 1024);
        memory.push_back(static_cast<double>(nsad.memory_kib()) / 1024);
        nsad.end(SIGKILL, std::chrono::seconds(10));
    }
    print("restart", "s", starts);
    print("memory_peak", "MiB", peaks);
    print("memory", "MiB", memory);
    print("submit", "ms", submissions);
}

}  // namespace

int main(int argc, char** argv) {
    constexpr int kUsage = 2;
    const int runs = argc > 1 ? std::atoi(argv[1]) : 10'000;
    const int restarts = argc > 2 ? std::atoi(argv[2]) : 5;
    if (runs < 1 || restarts < 1 || argc > 4) {
        std::fprintf(stderr, "usage: restart_bench [RUNS [RESTARTS [SPEC]]], numbers from 1\n");
        return kUsage;
    }
    try {
        bench(runs, restarts, argc > 3 ? nsa::test::read_file(argv[3]) : nsa::test::shell_spec("true"));
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "restart_bench: %s\n", error.what());
        return 1;
    }
}
