// The decode step on the device. plan.hpp says what is supported, how it is cut, and how much scratch it
// needs.
#pragma once

#include <driver_types.h>

#include "nsa_core/cuda/decode/params.hpp"
#include "nsa_core/cuda/decode/plan.hpp"

namespace nsa::core::cuda {

/// Two launches on `stream`, without host reads, allocation or synchronisation: may be captured. The shape
/// must be supported, and `plan` the one that the workspace was sized for. The first error of either launch.
[[nodiscard]] cudaError_t launch_decode(const DecodeParams& params, const DecodePlan& plan,
                                        cudaStream_t stream, DecodePart part = DecodePart::kAll);

}  // namespace nsa::core::cuda
