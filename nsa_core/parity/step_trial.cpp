// Parity of one step of attention over a paged cache.
#include <ATen/ATen.h>

#include "nsa_core/parity/step_check.hpp"
#include "nsa_core/parity/trial.hpp"
#include "nsa_core/tools/torch_device.hpp"

namespace nsa::core::parity {
TrialResult step_trial(const TrialPlan& plan, std::int64_t seed) {
    const StepCase c{.config = plan.config,
                     .dtype = plan.options.dtype,
                     .page_tokens = plan.options.page,
                     .positions = plan.options.positions,
                     .data = plan.options.data,
                     .seed = seed};
    StepProblem problem{c};
    const bool cuda = plan.routes.front().second.taken == Route::kCuda;
    const StepReport report = check_step(c, problem, tools::torch_device(plan.device),
                                         cuda ? cuda_candidate() : RunStep{reference_paged_step});
    const auto count = [](const char* name, std::int64_t value) {
        return std::pair<std::string, double>{name, static_cast<double>(value)};
    };
    return {.error = report.error,
            .baseline_mae = report.baseline_mae,
            .more = {{"bound_ratio", report.bound_ratio},
                     count("selection_ties", report.selection_ties),
                     count("selection_faults", report.selection_faults),
                     count("reads_mismatches", report.reads_mismatches),
                     count("canary_hits", report.canary_hits),
                     count("cache_faults", report.cache_faults),
                     count("compressed_faults", report.compressed_faults),
                     count("idle_faults", report.idle_faults),
                     count("rerun_differences", report.rerun_differences)},
            .routes = plan.routes,
            .audit = {}};
}

}  // namespace nsa::core::parity
