// Whether a row of times may be believed, from what the chip did while they were taken. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nsa_core/tools/gpu_monitor.hpp"

namespace nsa::core::bench {

enum class Validity {
    kValid,
    kDegraded,  // shown, never averaged with valid rows
    kInvalid    // says nothing of the code
};
[[nodiscard]] std::string_view name(Validity validity);  // "VALID", "DEGRADED", "INVALID"

struct RowConditions {
    bool gpu = false;
    std::string why_no_monitor = {};               // on a GPU, why clocks are not known; empty: they are
    unsigned max_sm_clock_mhz = 0;                 // of the chip; 0: not known
    std::span<const tools::GpuState> states = {};  // one for each sample, where the monitor gave them
    std::span<const double> samples_ms = {};
};

struct RowValidity {
    Validity validity = Validity::kValid;
    std::vector<std::string> reasons = {};  // in words, of this verdict; empty when valid

    [[nodiscard]] std::string reason() const;  // all of them
};

/// INVALID: a sample that is not a positive number; hardware slowdown, heat or power brake in any sample;
/// more than 5 % of the samples below 75 % of the highest clock. DEGRADED: heat that the driver acts on; a
/// median clock below 97 % of the highest; clocks not known; fewer than 6 samples; a 95 % interval of the
/// median wider than 10 % of it. A chip at its power cap lowers its clocks by design, so there clocks do not
/// count; the cap is in the samples.
[[nodiscard]] RowValidity judge_row(const RowConditions& conditions);

}  // namespace nsa::core::bench
