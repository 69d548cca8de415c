// The device as the kernels see it.
#pragma once

#include <driver_types.h>

#include "nsa_core/cuda/device_limits.hpp"

namespace nsa::core::cuda {

/// Limits of a device for the code in use: sm is 90 for the sm_90 code, 80 when the driver was made to
/// compile the compute_80 PTX (CUDA_FORCE_PTX_JIT=1), which is how the A100 path runs on a newer chip.
[[nodiscard]] cudaError_t device_limits(int device, DeviceLimits& limits);

}  // namespace nsa::core::cuda
