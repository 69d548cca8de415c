// Learnable compression on route `cuda`, differentiable once: what attention.hpp runs for Route::kCuda.
// Arguments are checked by the callers there.
#pragma once

#include "nsa_core/attention.hpp"
#include "nsa_core/keys_values.hpp"
#include "nsa_core/routes/cuda_prefill_autograd.hpp"

namespace nsa::core {

/// Saved for the backward: rows, weights, and the hidden numbers. Widths and phi_hidden of call.config are
/// those of the tensors; where they are no multiples of 8, columns of zeros stand behind them meanwhile, for
/// silu(0) = 0.
[[nodiscard]] KeysValues cuda_compress_mlp(const KeysValues& rows, const PhiPair& phi, const CudaCall& call);

}  // namespace nsa::core
