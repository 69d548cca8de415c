// Launches of the warpgroup's importance_top_n for one element type.
#pragma once

#include "nsa_core/cuda/prefill/launch.cuh"
#include "nsa_core/cuda/prefill/path.hpp"
#include "nsa_core/cuda/prefill/selected_instances.hpp"
#include "nsa_core/cuda/prefill/warpgroup/importance.cuh"

namespace nsa::core::cuda {

using WarpgroupImportanceKernel = void(ImportanceTopN, KeyInterval, BlockWeights);

/// The kernel for H/G heads; null for a number that there is none for.
template <class T, int kDk>
WarpgroupImportanceKernel* warpgroup_importance_of_heads(int heads_per_group) {
    switch (heads_per_group) {
        case 1:
            return warpgroup_importance_top_n_kernel<T, kDk, 1>;
        case 2:
            return warpgroup_importance_top_n_kernel<T, kDk, 2>;
        case 4:
            return warpgroup_importance_top_n_kernel<T, kDk, 4>;
        case 8:
            return warpgroup_importance_top_n_kernel<T, kDk, 8>;
        case 16:
            return warpgroup_importance_top_n_kernel<T, kDk, 16>;
        default:
            return nullptr;
    }
}
template <class T>
WarpgroupImportanceKernel* warpgroup_importance_kernel(const PrefillShape& shape) {
    switch (shape.dk) {
        case 64:
            return warpgroup_importance_of_heads<T, 64>(shape.heads_per_group());
        case 128:
            return warpgroup_importance_of_heads<T, 128>(shape.heads_per_group());
        case 192:
            return warpgroup_importance_of_heads<T, 192>(shape.heads_per_group());
        default:
            return nullptr;
    }
}

template <class T>
constexpr WarpgroupImportance warpgroup_importance() {
    return {.takes =
                [](KernelPath path, const PrefillShape& shape) {
                    auto* const kernel = warpgroup_importance_kernel<T>(shape);
                    return kernel != nullptr && takes(path, kernel);
                },
            .launch =
                [](const ImportanceTopN& p, std::size_t shared_bytes, cudaStream_t stream) {
                    const PrefillShape& shape = p.shape;
                    const int tokens = warpgroup_top_n_tokens(shape.heads_per_group());
                    return launch(warpgroup_importance_kernel<T>(shape),
                                  {.blocks = blocks_of(shape.max_tokens, tokens) * shape.groups,
                                   .sequences = shape.batch,
                                   .threads = kTopNThreads,
                                   .shared_bytes = shared_bytes},
                                  stream, p, key_interval(shape, DenseBranch::kCompressed),
                                  block_weights(shape));
                }};
}

}  // namespace nsa::core::cuda
