// One trial of a parity case: random inputs from one seed, candidate and oracle, and how they differ. Free of
// Torch, so that planning and writing need no Torch header.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "nsa_core/parity/plan.hpp"
#include "nsa_core/routes.hpp"

namespace nsa::core::parity {

// A candidate against the truth. A NaN or infinity anywhere makes mae, max_abs and rel_l2 NaN or infinite
// too: no bound is met by leaving positions out.
struct ErrorMetrics {
    double mae = 0;
    double max_abs = 0;
    double rel_l2 = 0;  // |candidate - truth| / |truth|, 0 when both are zero
    std::int64_t nan_count = 0;
    std::int64_t inf_count = 0;
    std::vector<std::int64_t>
        worst_index;  // of the first value that is not finite, else of the largest error
};

struct TrialResult {
    ErrorMetrics error;
    double baseline_mae = 0;                             // error of a plain implementation in the same dtype
    std::vector<std::pair<std::string, double>> more;    // metrics of this subject only
    std::vector<std::pair<Branch, RouteChoice>> routes;  // what ran
    tools::AuditCounts audit;
};

// One branch alone: kSliding, kCompressed or kSelected. Inputs are drawn in fp64 and rounded to the dtype
// before either side sees them, so that the error is that of the computation.
[[nodiscard]] TrialResult attention_trial(const TrialPlan& plan, std::int64_t seed);

// The whole layer: kModule or kDecode.
[[nodiscard]] TrialResult module_trial(const TrialPlan& plan, std::int64_t seed);

// One step of attention over a paged cache: kDecodeStep.
[[nodiscard]] TrialResult step_trial(const TrialPlan& plan, std::int64_t seed);

}  // namespace nsa::core::parity
