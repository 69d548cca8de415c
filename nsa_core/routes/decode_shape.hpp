// From the request of a decode step to the kernels' own terms.
#pragma once

#include <cstdint>

#include "nsa_core/cuda/decode/params.hpp"
#include "nsa_core/routes.hpp"

namespace nsa::core {

/// The shape of a batch of such steps, in 32 bits. What does not fit becomes the largest int, which
/// decode_unsupported refuses wherever it matters, and not another size: a window of 2^32 + 1 is not one
/// of 1.
[[nodiscard]] cuda::DecodeShape decode_shape(const StepRequest& request, std::int64_t batch);

}  // namespace nsa::core
