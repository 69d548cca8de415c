// What the timed parts of attention over whole sequences compute: by any routes through attention.hpp, or,
// where all branches take route `cuda`, by the kernels that the fused function runs and nothing beside them.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <functional>
#include <vector>

#include "nsa_core/attention.hpp"
#include "nsa_core/bench/prefill_inputs.hpp"
#include "nsa_core/config.hpp"
#include "nsa_core/routes.hpp"
#include "nsa_core/routes/cuda_prefill_autograd.hpp"

namespace nsa::core::bench {

struct PartFunctions {
    using Branch = std::function<at::Tensor(const at::Tensor& q, const KeysValues& rows)>;

    KeysValues cmp;  // compressed tokens of the inputs, without history
    std::function<KeysValues(const KeysValues& raw)> compress;
    Branch compressed;
    std::function<std::vector<at::Tensor>()> select;  // the blocks of the inputs; no gradient
    Branch selected;                                  // over those blocks
    Branch sliding;
    std::function<at::Tensor(const at::Tensor& gates, const std::array<at::Tensor, 3>& branches)> combine;
    // Whether the backward of `combine` gives the branches theirs. In the fused function nothing does: they
    // take dO and the gate.
    bool branches_have_gradients = true;
};

/// The inputs' compressed tokens, by their compressor.
[[nodiscard]] KeysValues compressed_tokens(const PrefillInputs& in, const NsaConfig& config,
                                           const Execution& how);

[[nodiscard]] PartFunctions parts_by_routes(const PrefillInputs& in, const NsaConfig& config,
                                            const BranchExecutions& how);

/// Selection starts from normalisers, and the selected branch from int32 lists, that are computed once, here.
[[nodiscard]] PartFunctions parts_by_kernels(const PrefillInputs& in, const CudaCall& call);

}  // namespace nsa::core::bench
