// The step on one cluster of thread blocks (sm_90).
#include <cuda_runtime.h>

#include "nsa_core/cuda/step/kernel.cuh"
#include "nsa_core/cuda/step/launch.hpp"
#include "nsa_core/cuda/step/shared_limit.hpp"

namespace nsa::core::cuda::step {
namespace {

constexpr int kSm90 = 90;

// Built for an older chip it has no body: cluster_runs() then says no.
template <class Sizes>
__global__ void __launch_bounds__(kStepThreads, 1) cluster_step(const __grid_constant__ Arguments arguments) {
    if constexpr (kHasClusters) {
        float* shared = dynamic_shared<float>();
        ClusterTeam team{shared + Sizes::layout(arguments).inbox, nullptr};
        const Context<Sizes> me{arguments, shared, team.rank()};
        run_step(me, team);
    }
}

using Kernel = void (*)(Arguments);

Kernel kernel_for(const Geometry& geometry) {
    if (geometry.seed)
        return geometry.ranks == 16 ? cluster_step<SeedSizes<16, true>> : cluster_step<SeedSizes<8, true>>;
    return geometry.width == 16   ? cluster_step<AnySizes<16>>
           : geometry.width == 32 ? cluster_step<AnySizes<32>>
                                  : cluster_step<AnySizes<64>>;
}

// The attribute must outlive the configuration, which points to it.
cudaLaunchConfig_t configuration(const Geometry& geometry, cudaLaunchAttribute& cluster,
                                 cudaStream_t stream) {
    cluster.id = cudaLaunchAttributeClusterDimension;
    cluster.val.clusterDim = {static_cast<unsigned>(geometry.ranks), 1, 1};
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(geometry.ranks));
    config.blockDim = dim3(kStepThreads);
    config.dynamicSmemBytes = geometry.shared_bytes;
    config.stream = stream;
    config.attrs = &cluster;
    config.numAttrs = 1;
    return config;
}

}  // namespace

cudaError_t prepare_cluster(const Geometry& geometry) {
    const Kernel kernel = kernel_for(geometry);
    const cudaError_t error =
        allow_shared_memory(reinterpret_cast<const void*>(kernel), geometry.shared_bytes);
    if (error != cudaSuccess) return error;
    return cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
}

bool cluster_runs(const Geometry& geometry) {
    const Kernel kernel = kernel_for(geometry);
    cudaFuncAttributes attributes{};
    int clusters = 0;
    cudaLaunchAttribute cluster{};
    const cudaLaunchConfig_t config = configuration(geometry, cluster, nullptr);
    const bool runs = cudaFuncGetAttributes(&attributes, kernel) == cudaSuccess &&
                      attributes.ptxVersion >= kSm90 && prepare_cluster(geometry) == cudaSuccess &&
                      cudaOccupancyMaxActiveClusters(&clusters, kernel, &config) == cudaSuccess &&
                      clusters > 0;
    (void)cudaGetLastError();  // "no" is an answer, not an error that a later call should find
    return runs;
}

cudaError_t launch_cluster(const Arguments& arguments, const Geometry& geometry, cudaStream_t stream) {
    cudaLaunchAttribute cluster{};
    const cudaLaunchConfig_t config = configuration(geometry, cluster, stream);
    return cudaLaunchKernelEx(&config, kernel_for(geometry), arguments);
}

}  // namespace nsa::core::cuda::step
