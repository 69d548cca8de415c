// From tensors to the parameters of the decode kernels. Knows Torch, not CUDA: the same for a launch on a
// device and for the emulator of the tests.
#pragma once

#include <ATen/core/Tensor.h>

#include "nsa_core/cuda/decode/params.hpp"
#include "nsa_core/paged_cache.hpp"
#include "nsa_core/routes/paged_step.hpp"

namespace nsa::core {

/// Borrows all tensors. Cache, inputs and outputs must be of the shape and its dtype, contiguous and on the
/// workspace's device: throws InputError that names the one that is not.
[[nodiscard]] cuda::DecodeParams decode_params(const cuda::DecodeShape& shape, const PagedStepInputs& in,
                                               const PagedCache& cache, const PagedStepOutputs& out,
                                               const at::Tensor& workspace);

}  // namespace nsa::core
