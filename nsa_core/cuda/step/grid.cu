// The step on the thread blocks of a cooperative launch, which all run at once (sm_80 and newer).
#include <cuda_runtime.h>

#include "nsa_core/cuda/step/kernel.cuh"
#include "nsa_core/cuda/step/launch.hpp"

namespace nsa::core::cuda::step {
namespace {

template <int kWidth>
__global__ void __launch_bounds__(kStepThreads, 1) grid_step(const __grid_constant__ Arguments arguments) {
    extern __shared__ __align__(16) float shared[];
    GridTeam team{nullptr, arguments.params.workspace};
    const Context me{arguments, shared, team.rank()};
    run_step<kWidth>(me, team);
}

using Kernel = void (*)(Arguments);

Kernel kernel_for(int width) {
    return width == 16 ? grid_step<16> : width == 32 ? grid_step<32> : grid_step<64>;
}

}  // namespace

cudaError_t prepare_grid(const Geometry& geometry) {
    return cudaFuncSetAttribute(kernel_for(geometry.width), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                static_cast<int>(geometry.shared_bytes));
}

bool grid_runs(const Geometry& geometry) {
    int device = 0;
    int cooperative = 0;
    int multiprocessors = 0;
    const bool runs =
        prepare_grid(geometry) == cudaSuccess && cudaGetDevice(&device) == cudaSuccess &&
        cudaDeviceGetAttribute(&cooperative, cudaDevAttrCooperativeLaunch, device) == cudaSuccess &&
        cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device) == cudaSuccess &&
        cooperative != 0 && multiprocessors >= geometry.ranks;
    (void)cudaGetLastError();  // "no" is an answer, not an error that a later call should find
    return runs;
}

cudaError_t launch_grid(const Arguments& arguments, const Geometry& geometry, cudaStream_t stream) {
    cudaLaunchAttribute cooperative{};
    cooperative.id = cudaLaunchAttributeCooperative;
    cooperative.val.cooperative = 1;
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(geometry.ranks));
    config.blockDim = dim3(kStepThreads);
    config.dynamicSmemBytes = geometry.shared_bytes;
    config.stream = stream;
    config.attrs = &cooperative;
    config.numAttrs = 1;
    return cudaLaunchKernelEx(&config, kernel_for(geometry.width), arguments);
}

}  // namespace nsa::core::cuda::step
