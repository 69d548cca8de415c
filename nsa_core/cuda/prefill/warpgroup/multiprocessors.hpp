// How many thread blocks run at once where one fills a multiprocessor.
#pragma once

#include <cuda_runtime.h>

namespace nsa::core::cuda {

/// Of the current device.
[[nodiscard]] inline cudaError_t multiprocessors(int& count) {
    int device = 0;
    const cudaError_t error = cudaGetDevice(&device);
    if (error != cudaSuccess) return error;
    return cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device);
}

}  // namespace nsa::core::cuda
