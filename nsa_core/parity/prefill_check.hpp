// Attention over whole sequences against the fp64 oracle, forward and every gradient, and what it must not do
// besides.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "nsa_core/parity/prefill_case.hpp"
#include "nsa_core/routes/prefill_kernels.hpp"

namespace nsa::core::parity {

// The candidate, on tensors of the device under test. Called twice; both runs must agree bit for bit.
using RunPrefill = std::function<PrefillOutputs(const PrefillProblem&)>;

// Route cuda: compression, then the fused function of three branches and gates, and its backward, by these
// kernels. May be captured.
[[nodiscard]] PrefillOutputs run_prefill(const PrefillCase& c, const PrefillProblem& problem,
                                         const PrefillKernels& kernels);

// The same with every result and all scratch between canaries (guarded_kernels.hpp).
[[nodiscard]] RunPrefill prefill_candidate(const PrefillCase& c, const PrefillKernels& kernels);

// The same without autograd, in which no kernel of Torch's runs on the device: they come without PTX, so that
// under CUDA_FORCE_PTX_JIT=1 only ours load. Sequences of equal lengths with a compressed token.
[[nodiscard]] RunPrefill raw_prefill_candidate(const PrefillCase& c, const PrefillKernels& kernels);

struct PrefillReport {
    // Of each result, "k_cmp", "v_cmp", "out", "dq", "dk_raw", .. "dgates", over all sequences: bound_ratio()
    // of metrics.hpp. Above 1 is a fault.
    std::vector<std::pair<std::string, double>> bound_ratios;
    // (sequence, group, token) triples that chose another set of blocks than the oracle.
    std::int64_t selection_ties = 0;
    std::int64_t selection_faults = 0;
    std::int64_t rerun_differences = 0;  // results that differ between two runs
    std::int64_t canary_hits = 0;        // bytes that were written beside results and scratch

    [[nodiscard]] bool clean() const;
    [[nodiscard]] std::string text() const;  // what it found, for a message
};

// While the candidate runs, memory that Torch allocates is NaN until it is written, and its tensors lie amid
// NaNs.
[[nodiscard]] PrefillReport check_prefill(const PrefillCase& c, at::Device device, const RunPrefill& run);

// Without the NaNs around the inputs, which kernels of Torch's write.
[[nodiscard]] PrefillReport check_raw_prefill(const PrefillCase& c, at::Device device, const RunPrefill& run);

}  // namespace nsa::core::parity
