// A launch with as much shared memory as the kernel asks for.
#pragma once

#include <cuda_runtime.h>

#include <bit>
#include <cstdint>
#include <limits>

#include "nsa_core/cuda/prefill/work.cuh"

namespace nsa::core::cuda {

struct LaunchShape {
    std::int64_t blocks = 0;  // along x
    int sequences = 1;        // along y
    int threads = 0;
    std::size_t shared_bytes = 0;
};

template <class... Parameters, class... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), const LaunchShape& shape, cudaStream_t stream,
                   const Arguments&... arguments) {
    if (shape.blocks <= 0 || shape.sequences <= 0) return cudaSuccess;  // nothing to do, and no grid is empty
    if (shape.blocks > std::numeric_limits<int>::max()) return cudaErrorInvalidConfiguration;
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(shape.blocks), static_cast<unsigned>(shape.sequences));
    config.blockDim = dim3(static_cast<unsigned>(shape.threads));
    config.dynamicSmemBytes = shape.shared_bytes;
    config.stream = stream;
    if (shape.shared_bytes > 0) {
        const cudaError_t grown = cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                                       cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                       static_cast<int>(shape.shared_bytes));
        if (grown != cudaSuccess) return grown;
    }
    return cudaLaunchKernelEx(&config, kernel, arguments...);
}

[[nodiscard]] constexpr std::int64_t blocks_of(std::int64_t work, std::int64_t each) {
    return (work + each - 1) / each;
}

[[nodiscard]] inline GroupHeads group_heads(const PrefillShape& shape) {
    return {std::countr_zero(static_cast<unsigned>(shape.heads_per_group()))};
}

}  // namespace nsa::core::cuda
