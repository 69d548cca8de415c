// A decode step against the fp64 oracle, and everything else that it must and must not do.
#pragma once

#include <cstdint>
#include <functional>

#include "nsa_core/parity/step_case.hpp"
#include "nsa_core/parity/trial.hpp"

namespace nsa::core::parity {

// The candidate, on tensors of the device under test. Called twice on the same cache; both runs must agree
// bit for bit. May throw.
using RunStep = std::function<void(const PagedStepInputs&, const PagedCache&, const PagedStepOutputs&)>;

// Route cuda. Its scratch is NaN before each step: it holds nothing between steps.
[[nodiscard]] RunStep cuda_candidate();

struct StepReport {
    ErrorMetrics error;       // of the output, all sequences
    double baseline_mae = 0;  // of a plain implementation in the same dtype
    // Largest error of a sequence as a share of what it may be: twice the largest error of the plain
    // implementation there, plus one rounding of its largest output. Above 1 is a fault.
    double bound_ratio = 0;
    // (sequence, group) pairs that chose another set of blocks than the oracle: ties, where each block that
    // differs is as important as the one it replaces up to rounding in fp32, and all others.
    std::int64_t selection_ties = 0;
    std::int64_t selection_faults = 0;
    std::int64_t reads_mismatches = 0;  // sequences whose counted keys are not those of the formula
    std::int64_t canary_hits = 0;       // guard bytes around the outputs that changed
    std::int64_t cache_faults =
        0;  // pools in which anything but the rows of the step changed, or those did not
    std::int64_t compressed_faults = 0;  // emitted compressed rows that are not the mean, rounded once
    std::int64_t idle_faults = 0;        // idle slots with an output other than 0 or a block
    std::int64_t rerun_differences = 0;  // outputs that differ between two runs

    // No fault of any kind.
    [[nodiscard]] bool clean() const;
};

// Runs the candidate and judges it. The oracle sees what the pages hold after the step; what the step wrote
// there is judged apart. Afterwards the cache of the problem is what the step made of it. All that happens on
// the device is the candidate's: data are made and judged on the CPU, so that a run with
// CUDA_FORCE_PTX_JIT=1, under which Torch's own kernels do not load, tests the same.
[[nodiscard]] StepReport check_step(const StepCase& c, StepProblem& problem, at::Device device,
                                    const RunStep& run);

}  // namespace nsa::core::parity
