// Launches of both kernels for one element type and pair of widths.
#pragma once

#include <cuda_runtime.h>

#include "nsa_core/cuda/decode/compressed.cuh"
#include "nsa_core/cuda/decode/selected.cuh"

namespace nsa::core::cuda {

// A launch with clusters, and that may start before the kernel ahead of it has ended. Chips older than sm_90
// know neither, and a plain launch is right there: the plan has clusters of one.
class Launch {
  public:
    Launch(dim3 grid, int shared_bytes, cudaStream_t stream) {
        config_.gridDim = grid;
        config_.blockDim = dim3(kDecodeWarps * kWarpSize);
        config_.dynamicSmemBytes = static_cast<std::size_t>(shared_bytes);
        config_.stream = stream;
        config_.attrs = attributes_;
    }
    Launch(const Launch&) = delete;
    Launch& operator=(const Launch&) = delete;

    Launch& clusters_of(int size) {
        if (size == 1) return *this;
        cudaLaunchAttribute& attribute = attributes_[config_.numAttrs++];
        attribute.id = cudaLaunchAttributeClusterDimension;
        attribute.val.clusterDim = {static_cast<unsigned>(size), 1, 1};
        return *this;
    }
    Launch& beside_the_previous(bool yes) {
        if (!yes) return *this;
        cudaLaunchAttribute& attribute = attributes_[config_.numAttrs++];
        attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
        attribute.val.programmaticStreamSerializationAllowed = 1;
        return *this;
    }
    template <class... Parameters, class... Arguments>
    cudaError_t run(void (*kernel)(Parameters...), const Arguments&... arguments) {
        const auto* function = reinterpret_cast<const void*>(kernel);
        const cudaError_t grown = cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                       static_cast<int>(config_.dynamicSmemBytes));
        return grown == cudaSuccess ? cudaLaunchKernelEx(&config_, kernel, arguments...) : grown;
    }

  private:
    cudaLaunchConfig_t config_{};
    cudaLaunchAttribute attributes_[2]{};
};

template <class T, int kDk, int kDv>
cudaError_t launch_decode_of(const DecodeParams& params, const DecodePlan& plan, cudaStream_t stream,
                             DecodePart part) {
    const DecodeShape& shape = params.shape;
    const DecodeConstants constants{.workspace = layout_workspace(shape, plan),
                                    .page_tokens = make_divisor(shape.page_tokens),
                                    .page_compressed = make_divisor(shape.page_tokens / shape.d),
                                    .block_chunks = make_divisor(shape.l_sel / kChunkRows),
                                    .splits = plan.splits,
                                    .block_rows = workspace_blocks(shape)};
    const auto grid = [&](int x) {
        return dim3(static_cast<unsigned>(x), static_cast<unsigned>(shape.groups),
                    static_cast<unsigned>(shape.batch));
    };
    if (part == DecodePart::kAll || part == DecodePart::kCompressed) {
        Launch launch{grid(plan.splits), static_cast<int>(sizeof(CompressedShared<kDk, kDv>)), stream};
        const cudaError_t error = launch.run(compressed_kernel<T, kDk, kDv>, params, constants);
        if (error != cudaSuccess || part == DecodePart::kCompressed) return error;
    }
    const SelectedParts parts{.selected = part != DecodePart::kSliding,
                              .window = part != DecodePart::kSelected};
    Launch launch{grid(plan.cluster), static_cast<int>(sizeof(SelectedShared<kDk, kDv>)), stream};
    return launch.clusters_of(plan.cluster)
        .beside_the_previous(plan.dependent_launch && part == DecodePart::kAll)
        .run(selected_kernel<T, kDk, kDv>, params, constants, parts);
}

}  // namespace nsa::core::cuda
