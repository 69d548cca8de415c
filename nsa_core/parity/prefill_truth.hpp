// What one sequence of attention over whole sequences should give, forward and backward: by the oracle, and
// by a plain implementation in the same type.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "nsa_core/config.hpp"
#include "nsa_core/parity/prefill_case.hpp"

namespace nsa::core::parity {

// One sequence on the CPU, as a batch of one. The compressed tokens and the blocks are the candidate's: both
// are judged apart, for where two blocks are all but equally important, rounding decides.
struct SequenceInputs {
    PrefillTensors in;
    at::Tensor d_out;
    KeysValues cmp;
    at::Tensor blocks;  // [1,G,S,n]
};

struct SequenceOutputs {
    at::Tensor out;
    PrefillTensors gradients;
};

[[nodiscard]] SequenceOutputs true_prefill(const SequenceInputs& sequence, const NsaConfig& config);
[[nodiscard]] SequenceOutputs plain_prefill(const SequenceInputs& sequence, const NsaConfig& config);

// (group, token) pairs whose blocks differ from the oracle's: by rounding, and otherwise.
struct SelectionCount {
    std::int64_t ties = 0;
    std::int64_t faults = 0;
};
[[nodiscard]] SelectionCount judge_blocks(const SequenceInputs& sequence, const NsaConfig& config,
                                          bool ties_allowed);

}  // namespace nsa::core::parity
