#include "nsa_core/cuda/device.hpp"

#include <cuda_runtime.h>

#include <algorithm>

namespace nsa::core::cuda {
namespace {

// Compiled like every kernel here, so that its attributes tell which of the variants the driver took.
__global__ void variant_probe() {}

}  // namespace

cudaError_t device_limits(int device, DeviceLimits& limits) {
    int major = 0;
    int minor = 0;
    cudaFuncAttributes attributes{};
    cudaError_t error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
    if (error == cudaSuccess)
        error = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
    if (error == cudaSuccess) {
        error = cudaDeviceGetAttribute(&limits.multiprocessors, cudaDevAttrMultiProcessorCount, device);
    }
    if (error == cudaSuccess) error = cudaFuncGetAttributes(&attributes, variant_probe);
    if (error == cudaSuccess) limits.sm = std::min(10 * major + minor, attributes.ptxVersion);
    return error;
}

}  // namespace nsa::core::cuda
