// How much dynamic shared memory a kernel of the step may have. Inside of nsa_core/cuda/step.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

namespace nsa::core::cuda::step {

/// Lets `kernel` have all that the current device gives a thread block, so that preparing a small step takes
/// nothing from a larger one that lives. cudaErrorInvalidValue when that is less than `bytes`.
[[nodiscard]] inline cudaError_t allow_shared_memory(const void* kernel, std::size_t bytes) {
    int device = 0;
    int most = 0;
    cudaError_t error = cudaGetDevice(&device);
    if (error == cudaSuccess)
        error = cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
    if (error != cudaSuccess) return error;
    if (bytes > static_cast<std::size_t>(most)) return cudaErrorInvalidValue;
    return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most);
}

}  // namespace nsa::core::cuda::step
