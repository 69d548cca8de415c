#include "nsa_core/cuda/device.hpp"

#include <cuda_runtime.h>

namespace nsa::core::cuda {
namespace {

// Compiled like every kernel here, so that its attributes tell which of the variants the driver took.
__global__ void variant_probe() {}

}  // namespace

cudaError_t device_limits(int device, DeviceLimits& limits) {
    int major = 0;
    int minor = 0;
    int multiprocessors = 0;
    int shared_bytes = 0;
    cudaFuncAttributes attributes{};
    cudaError_t error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
    if (error == cudaSuccess)
        error = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
    if (error == cudaSuccess)
        error = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
    if (error == cudaSuccess)
        error = cudaDeviceGetAttribute(&shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
    if (error == cudaSuccess) error = cudaFuncGetAttributes(&attributes, variant_probe);
    if (error == cudaSuccess)
        limits = limits_of(10 * major + minor, attributes.ptxVersion, multiprocessors, shared_bytes);
    return error;
}

}  // namespace nsa::core::cuda
