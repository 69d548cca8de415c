// The step on the thread blocks of a cooperative launch, which all run at once (sm_80 and newer).
#include <cuda_runtime.h>

#include "nsa_core/cuda/step/kernel.cuh"
#include "nsa_core/cuda/step/launch.hpp"
#include "nsa_core/cuda/step/shared_limit.hpp"

namespace nsa::core::cuda::step {
namespace {

template <class Sizes>
__global__ void __launch_bounds__(kStepThreads, 1) grid_step(const __grid_constant__ Arguments arguments) {
    float* shared = dynamic_shared<float>();
    GridTeam team{nullptr, arguments.params.workspace};
    const Context<Sizes> me{arguments, shared, team.rank()};
    run_step(me, team);
}

using Kernel = void (*)(Arguments);

Kernel kernel_for(const Geometry& geometry) {
    if (geometry.seed) return grid_step<SeedSizes<16, false>>;
    return geometry.width == 16   ? grid_step<AnySizes<16>>
           : geometry.width == 32 ? grid_step<AnySizes<32>>
                                  : grid_step<AnySizes<64>>;
}

}  // namespace

cudaError_t prepare_grid(const Geometry& geometry) {
    return allow_shared_memory(reinterpret_cast<const void*>(kernel_for(geometry)), geometry.shared_bytes);
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
    return cudaLaunchKernelEx(&config, kernel_for(geometry), arguments);
}

}  // namespace nsa::core::cuda::step
