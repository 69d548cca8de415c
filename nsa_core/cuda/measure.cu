#include "nsa_core/cuda/measure.hpp"

#include <cuda_runtime.h>

namespace nsa::core::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kLoads = 8;  // 16-byte loads that a thread has in flight

__global__ void empty_kernel() {
#if __CUDA_ARCH__ >= 900
    cudaTriggerProgrammaticLaunchCompletion();
    cudaGridDependencySynchronize();
#endif
}

__global__ void __launch_bounds__(kThreads)
    read_kernel(const uint4* data, std::size_t count, unsigned* sums) {
    const std::size_t stride = static_cast<std::size_t>(gridDim.x) * kThreads;
    unsigned sum = 0;
    std::size_t i = static_cast<std::size_t>(blockIdx.x) * kThreads + threadIdx.x;
    for (; i + (kLoads - 1) * stride < count; i += kLoads * stride) {
        uint4 word[kLoads];
#pragma unroll
        for (int k = 0; k < kLoads; ++k)
            word[k] = __ldcs(data + i + static_cast<std::size_t>(k) * stride);
#pragma unroll
        for (int k = 0; k < kLoads; ++k)
            sum ^= word[k].x ^ word[k].y ^ word[k].z ^ word[k].w;
    }
    for (; i < count; i += stride) {
        const uint4 word = __ldcs(data + i);
        sum ^= word.x ^ word.y ^ word.z ^ word.w;
    }
    // One thread writes: the others' loads must not be dropped, so all sums reach it.
    const int any = __syncthreads_or(static_cast<int>(sum));
    if (threadIdx.x == 0) sums[blockIdx.x] = static_cast<unsigned>(any);
}

__global__ void spin_kernel(unsigned nanoseconds) {
    unsigned long long start = 0;
    unsigned long long now = 0;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(start));
    do {
        asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
    } while (now - start < nanoseconds);
}

}  // namespace

cudaError_t launch_empty(int blocks, bool dependent, cudaStream_t stream) {
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(blocks));
    config.blockDim = dim3(128);
    config.stream = stream;
    cudaLaunchAttribute attribute{};
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    config.attrs = &attribute;
    config.numAttrs = dependent ? 1 : 0;
    return cudaLaunchKernelEx(&config, empty_kernel);
}

cudaError_t launch_read(const void* data, std::size_t bytes, unsigned* sums, int blocks,
                        cudaStream_t stream) {
    read_kernel<<<blocks, kThreads, 0, stream>>>(static_cast<const uint4*>(data), bytes / sizeof(uint4),
                                                 sums);
    return cudaGetLastError();
}

cudaError_t launch_spin(unsigned nanoseconds, cudaStream_t stream) {
    spin_kernel<<<1, 1, 0, stream>>>(nanoseconds);
    return cudaGetLastError();
}

}  // namespace nsa::core::cuda
