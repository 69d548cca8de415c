// Attention over whole sequences under test: what it attends, and what a candidate made of it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "nsa_core/config.hpp"
#include "nsa_core/keys_values.hpp"
#include "nsa_core/parity/parity.hpp"

namespace nsa::core::parity {

struct PrefillCase {
    NsaConfig config;
    DType dtype = DType::kBf16;
    std::vector<std::int64_t> lengths;  // of the sequences
    bool packed = false;                // one behind the other; else all lengths are equal
    StepData data = StepData::kNormal;
    std::int64_t seed = 0;

    [[nodiscard]] std::int64_t tokens() const;
    [[nodiscard]] std::int64_t longest() const;
};

// One tensor for each input of the branches, or the gradient in each. The tokens of [batch,heads,tokens,c]
// are those of one sequence, or of all of a packed case, whose batch is 1.
struct PrefillTensors {
    at::Tensor q;
    KeysValues raw;  // before mean compression
    KeysValues sel;
    KeysValues win;
    at::Tensor gates;  // [batch,H,tokens,3]
};

struct PrefillOutputs {
    KeysValues cmp;                // the compressed tokens that were attended
    at::Tensor out;                // [batch,H,tokens,dv]
    at::Tensor blocks;             // [batch,G,tokens,n] int64, those that were attended, -1 behind the last
    PrefillTensors gradients;      // of the sum of out * d_out
    std::int64_t canary_hits = 0;  // bytes written beside results and scratch
};

// Drawn in fp64 and rounded to the dtype, on the CPU. Each tensor is a view into memory that is NaN around
// it, with strides of its own. A third of the heads gates one branch alone, so that none hides behind the
// others.
struct PrefillProblem {
    explicit PrefillProblem(const PrefillCase& c);

    PrefillTensors in;
    at::Tensor d_out;
    at::Tensor cu_tokens;      // int32 [sequences + 1]
    at::Tensor cu_compressed;  // the same of compressed tokens
};

// Everything on another device, amid NaNs there too.
[[nodiscard]] PrefillProblem on_device(const PrefillProblem& problem, at::Device device);

// The same by copies of whole memory only, so without NaNs around: no kernel of Torch's runs.
[[nodiscard]] PrefillProblem copied_to(const PrefillProblem& problem, at::Device device);

// Calls with(tensor of a) for each tensor, in the order of the members.
void for_each_tensor(PrefillTensors& tensors, const std::function<void(at::Tensor&)>& with);

}  // namespace nsa::core::parity
