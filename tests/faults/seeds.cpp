// The scheduler in a million random worlds, and one world in which the link is gone for an hour.
#include <fmt/format.h>

#include <atomic>
#include <iostream>
#include <mutex>
#include <thread>

#include "lab.hpp"
#include "world.hpp"

namespace nsa::faults {

namespace {

struct FailedSeeds {
    std::mutex mutex;
    int count = 0;

    void add(std::uint64_t seed, const std::vector<std::string>& violations) {
        constexpr int kShown = 5;
        const std::lock_guard lock(mutex);
        if (++count > kShown) return;
        std::cout << "SEED FAILED: " << violations.front()
                  << "\n  again: tests/faults/run --only seeds --seeds 1 --seed " << seed << std::endl;
    }
};

Figure outage_figure() {
    World world(1);
    const std::vector<std::string> violations = world.outlive(std::chrono::hours{1});
    const std::string value =
        violations.empty()
            ? fmt::format("verdict untouched, {} min of virtual time",
                          std::chrono::duration_cast<std::chrono::minutes>(world.age()).count())
            : violations.front();
    return {"link lost for 1 h (virtual time)", value, "verdict untouched", violations.empty()};
}

}  // namespace

Findings seed_section(const Lab& lab) {
    FailedSeeds failed;
    std::atomic<int> next{0};
    const auto work = [&] {
        for (int i = next++; i < lab.counts.seeds; i = next++) {
            const std::uint64_t seed = lab.seed + static_cast<std::uint64_t>(i);
            const std::vector<std::string> violations = World(seed).live();
            if (!violations.empty()) failed.add(seed, violations);
        }
    };
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i)
        threads.emplace_back(work);
    for (std::thread& thread : threads)
        thread.join();
    Findings findings;
    const Figure outage = outage_figure();
    findings.failures = failed.count + (outage.met ? 0 : 1);
    findings.figures = {{"worlds of the scheduler simulation", std::to_string(lab.counts.seeds),
                         std::to_string(lab.counts.seeds), true},
                        {"  of them with a violation", std::to_string(failed.count), "0", failed.count == 0},
                        outage};
    return findings;
}

}  // namespace nsa::faults
