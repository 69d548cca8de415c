#include "nsa_core/bench/validity.hpp"

#include <algorithm>
#include <cmath>

#include "nsa_core/tools/samples.hpp"

namespace nsa::core::bench {
namespace {

constexpr double kSlowShare = 0.75;           // of the highest clock: such a sample is slow
constexpr double kMostSlow = 0.05;            // of the samples
constexpr double kFullSpeedShare = 0.97;      // of the highest clock, by the median
constexpr double kWidestInterval = 0.10;      // of the median
constexpr std::ptrdiff_t kFewestSamples = 6;  // all of fewer hold the median with less than 95 %

std::string percent_text(double share) {
    return std::to_string(std::lround(100 * share)) + " %";
}

bool is_capped(const tools::GpuState& state) {
    return tools::is_power_capped(state.throttle_reasons);
}

std::vector<std::string> invalid_reasons(const RowConditions& c) {
    std::vector<std::string> reasons;
    if (c.samples_ms.empty()) reasons.emplace_back("no samples");
    if (std::ranges::any_of(c.samples_ms, [](double ms) { return !std::isfinite(ms) || ms <= 0; }))
        reasons.emplace_back("a sample is not a positive number");
    if (std::ranges::any_of(c.states, [](const tools::GpuState& state) {
            return tools::is_hardware_throttled(state.throttle_reasons);
        })) {
        reasons.emplace_back("hardware slowdown, heat or power brake");
    }
    const double slowest = kSlowShare * c.max_sm_clock_mhz;
    const auto slow = std::ranges::count_if(c.states, [&](const tools::GpuState& state) {
        return !is_capped(state) && state.sm_clock_mhz < slowest;
    });
    const double share =
        c.states.empty() ? 0 : static_cast<double>(slow) / static_cast<double>(c.states.size());
    if (share > kMostSlow) {
        reasons.push_back(percent_text(share) + " of the samples below " + percent_text(kSlowShare) +
                          " of the highest clock");
    }
    return reasons;
}

std::optional<std::string> slow_median(const RowConditions& c) {
    std::vector<double> clocks;
    for (const tools::GpuState& state : c.states) {
        if (!is_capped(state)) clocks.push_back(state.sm_clock_mhz);
    }
    // Fewer than half uncapped: the cap explains the clock.
    if (2 * clocks.size() < c.states.size() || clocks.empty() || c.max_sm_clock_mhz == 0) return std::nullopt;
    const double share = tools::spread_of(clocks).median / c.max_sm_clock_mhz;
    if (share >= kFullSpeedShare) return std::nullopt;
    return "median clock at " + percent_text(share) + " of the highest";
}

std::vector<std::string> degraded_reasons(const RowConditions& c) {
    std::vector<std::string> reasons;
    if (c.gpu && c.states.empty())
        reasons.push_back("clocks are not known: " +
                          (c.why_no_monitor.empty() ? "NVML gave none" : c.why_no_monitor));
    if (std::ranges::any_of(c.states, [](const tools::GpuState& state) {
            return tools::is_software_heat(state.throttle_reasons);
        })) {
        reasons.emplace_back("the driver slowed the chip down for heat");
    }
    if (auto slow = slow_median(c)) reasons.push_back(std::move(*slow));
    if (std::ssize(c.samples_ms) < kFewestSamples)
        reasons.push_back("fewer than " + std::to_string(kFewestSamples) + " samples have no 95 % interval");
    const tools::MedianInterval interval = tools::median_interval({c.samples_ms.begin(), c.samples_ms.end()});
    const double width = (interval.high - interval.low) / interval.median;
    if (width > kWidestInterval)
        reasons.push_back("the 95 % interval is " + percent_text(width) + " of the median wide");
    return reasons;
}

}  // namespace

std::string_view name(Validity validity) {
    switch (validity) {
        case Validity::kValid:
            return "VALID";
        case Validity::kDegraded:
            return "DEGRADED";
        case Validity::kInvalid:
            break;
    }
    return "INVALID";
}

std::string RowValidity::reason() const {
    std::string text;
    for (const std::string& each : reasons)
        text += (text.empty() ? "" : "; ") + each;
    return text;
}

RowValidity judge_row(const RowConditions& conditions) {
    RowValidity row{.validity = Validity::kInvalid, .reasons = invalid_reasons(conditions)};
    if (!row.reasons.empty()) return row;
    row.reasons = degraded_reasons(conditions);
    row.validity = row.reasons.empty() ? Validity::kValid : Validity::kDegraded;
    return row;
}

}  // namespace nsa::core::bench
