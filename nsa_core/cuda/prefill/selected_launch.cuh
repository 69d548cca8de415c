// Launches of the selection kernels for one element type and pair of widths.
#pragma once

#include "nsa_core/cuda/prefill/importance.cuh"
#include "nsa_core/cuda/prefill/launch.cuh"
#include "nsa_core/cuda/prefill/selected_dkdv.cuh"
#include "nsa_core/cuda/prefill/selected_dq.cuh"
#include "nsa_core/cuda/prefill/selected_forward.cuh"
#include "nsa_core/cuda/prefill/selected_instances.hpp"

namespace nsa::core::cuda {

/// Tiles of 8 tokens of every group.
[[nodiscard]] inline LaunchShape token_tiles(const PrefillShape& shape, int threads,
                                             std::size_t shared_bytes) {
    return {.blocks = blocks_of(shape.max_tokens, kTileTokens) * shape.groups,
            .sequences = shape.batch,
            .threads = threads,
            .shared_bytes = shared_bytes};
}

template <class T, int kDk>
cudaError_t launch_importance_of(const ImportanceTopN& params, cudaStream_t stream) {
    const auto with = [&](auto* kernel) {
        return launch(kernel,
                      token_tiles(params.shape, kImportanceThreads, importance_shared_bytes(params.shape)),
                      stream, params, key_interval(params.shape, DenseBranch::kCompressed),
                      block_weights(params.shape));
    };
    return has_four_token_blocks(params.shape) ? with(importance_top_n_kernel<T, kDk, FourTokenBlocks<16>>)
                                               : with(importance_top_n_kernel<T, kDk, AnyBlocks>);
}

template <class T, int kDk, int kDv>
cudaError_t launch_selected_forward_of(const SelectedForward& params, const RingPlan& ring,
                                       cudaStream_t stream) {
    return launch(selected_forward_kernel<T, kDk, kDv>,
                  token_tiles(params.shape, kWalkThreads, ring.shared_bytes), stream, params, ring.stages);
}

template <class T, int kDk, int kDv>
cudaError_t launch_selected_dq_of(const SelectedBackward& params, const RingPlan& ring, cudaStream_t stream) {
    const auto with = [&](auto* kernel) {
        return launch(kernel, token_tiles(params.shape, kWalkThreads, ring.shared_bytes), stream, params,
                      ring.stages);
    };
    constexpr int kMost = dq_most_keys(kDk);
    if (ring.keys == kMost) return with(selected_dq_kernel<T, kDk, kDv, kMost>);
    // Where shared memory has no room for queries beside the ring.
    constexpr int kHalf = kStageRows / 2;
    if constexpr (kMost != kHalf && !dq_holds_queries(kDk, kMost)) {
        if (ring.keys == kHalf) return with(selected_dq_kernel<T, kDk, kDv, kHalf>);
    }
    return cudaErrorInvalidValue;
}

template <class T, int kDk, int kDv>
cudaError_t launch_selected_dkdv_of(const SelectedBackward& params, cudaStream_t stream) {
    return launch(dkdv_kernel<T, kDk, kDv, SelectedItems>,
                  {.blocks = selected_dkdv_blocks(params),
                   .sequences = params.shape.batch,
                   .threads = kDenseThreads,
                   .shared_bytes = sizeof(DkdvShared<kDk, kDv>)},
                  stream, dkdv_parameters(params), selected_items(params), group_heads(params.shape));
}

template <class T>
cudaError_t launch_selected_sum_of(const SelectedBackward& params, cudaStream_t stream) {
    const PrefillShape& shape = params.shape;
    return launch(selected_sum_kernel<T>,
                  {.blocks = max_blocks(shape) * blocks_of(shape.l_sel, kSumKeys) * shape.groups,
                   .sequences = shape.batch,
                   .threads = kSumThreads},
                  stream, dkdv_parameters(params), selected_items(params));
}

template <class T, int kDk, int kDv>
constexpr SelectedLaunches selected_launches() {
    return {.importance = launch_importance_of<T, kDk>,
            .forward = launch_selected_forward_of<T, kDk, kDv>,
            .dq = launch_selected_dq_of<T, kDk, kDv>,
            .dkdv = launch_selected_dkdv_of<T, kDk, kDv>,
            .sum = launch_selected_sum_of<T>};
}

}  // namespace nsa::core::cuda
