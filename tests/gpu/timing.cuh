// Memory, numbers and medians for programs that time kernels on a GPU host without Torch. Whatever fails ends
// the program.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <vector>

#include "nsa_core/cuda/prefill/params.hpp"

namespace nsa::timing {

using core::cuda::Rows;

inline void check(cudaError_t error, const char* what) {
    if (error == cudaSuccess) return;
    std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
    std::exit(1);
}

struct Free {
    void operator()(void* memory) const { (void)cudaFree(memory); }
};
using Memory = std::unique_ptr<void, Free>;

inline Memory allocate(std::size_t bytes) {
    void* memory = nullptr;
    check(cudaMalloc(&memory, std::max<std::size_t>(bytes, 16)), "cudaMalloc");
    return Memory{memory};
}

// Sums of four uniform numbers: nearly normal, of variance 1.
static __global__ void fill_kernel(__nv_bfloat16* rows, std::size_t count, unsigned seed, float scale) {
    for (std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; i < count;
         i += std::size_t{gridDim.x} * blockDim.x) {
        unsigned x =
            static_cast<unsigned>(i) * 2654435761U ^ seed * 0x9e3779b9U ^ static_cast<unsigned>(i >> 32);
        float sum = 0.0F;
        for (int j = 0; j < 4; ++j) {
            x ^= x >> 16;
            x *= 0x7feb352dU;
            x ^= x >> 15;
            x *= 0x846ca68bU;
            x ^= x >> 16;
            sum += static_cast<float>(x) * 0x1p-32F - 0.5F;
        }
        rows[i] = __float2bfloat16(sum * 1.7320508F * scale);
    }
}

// A tensor of rows [tokens, heads, width], token-major as the projections leave it.
struct Tensor {
    Memory memory;
    Rows rows;
};
inline Tensor tensor(std::int64_t tokens, int heads, int width, unsigned seed, float scale = 1.0F) {
    const std::size_t count = static_cast<std::size_t>(tokens) * heads * width;
    Tensor made{allocate(count * 2), {}};
    made.rows = {made.memory.get(), tokens * heads * width, width, std::int64_t{heads} * width};
    fill_kernel<<<1024, 256>>>(static_cast<__nv_bfloat16*>(made.memory.get()), count, seed, scale);
    check(cudaGetLastError(), "fill");
    return made;
}

inline double median_ms(const std::function<cudaError_t()>& launch, bool once) {
    cudaEvent_t begin = nullptr;
    cudaEvent_t end = nullptr;
    check(cudaEventCreate(&begin), "event");
    check(cudaEventCreate(&end), "event");
    std::vector<double> times;
    double all = 0;
    for (int i = 0; i < (once ? 1 : 3) || (!once && i < 23 && all < 400.0); ++i) {
        check(cudaEventRecord(begin), "event");
        check(launch(), "launch");
        check(cudaEventRecord(end), "event");
        check(cudaEventSynchronize(end), "kernel");
        float ms = 0;
        check(cudaEventElapsedTime(&ms, begin, end), "event");
        if (i > 0 || once) times.push_back(ms);
        all += ms;
    }
    (void)cudaEventDestroy(begin);
    (void)cudaEventDestroy(end);
    std::ranges::sort(times);
    return times[times.size() / 2];
}

}  // namespace nsa::timing
