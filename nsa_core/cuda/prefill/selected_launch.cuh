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
    return launch(selected_dq_kernel<T, kDk, kDv>, token_tiles(params.shape, kWalkThreads, ring.shared_bytes),
                  stream, params, ring.stages);
}

/// What the kernel of dK and dV reads of the parameters; it is that of the dense branches.
[[nodiscard]] inline DenseBackward dkdv_parameters(const SelectedBackward& p) {
    return {.shape = p.shape,
            .sequences = p.sequences,
            .branch = DenseBranch::kWindow,  // keys are tokens
            .q = p.q,
            .k = p.k,
            .v = p.v,
            .d_out = p.d_out,
            .lse = p.lse,
            .delta = p.delta,
            .gates = p.gates,
            .gate_stride = p.gate_stride,
            .d_q = {},
            .d_k = p.d_k,
            .d_v = p.d_v,
            .partials = nullptr,
            .add_to_d_q = false,
            .scale = p.scale};
}

template <class T, int kDk, int kDv>
cudaError_t launch_selected_dkdv_of(const SelectedBackward& params, cudaStream_t stream) {
    const PrefillShape& shape = params.shape;
    const DenseBackward p = dkdv_parameters(params);
    const SelectedItems items{.lists = params.inverse, .parts = params.parts};
    const std::int64_t pieces = blocks_of(shape.l_sel, kDkdvKeys);
    const cudaError_t error =
        launch(dkdv_kernel<T, kDk, kDv, SelectedItems>,
               {.blocks = max_items(shape, params.inverse.item_tokens) * pieces * shape.groups,
                .sequences = shape.batch,
                .threads = kDenseThreads,
                .shared_bytes = sizeof(DkdvShared<kDk, kDv, SelectedItems::Shared>)},
               stream, p, items, group_heads(shape));
    if (error != cudaSuccess) return error;
    return launch(selected_sum_kernel<T>,
                  {.blocks = max_blocks(shape) * blocks_of(shape.l_sel, kSumKeys) * shape.groups,
                   .sequences = shape.batch,
                   .threads = kSumThreads},
                  stream, p, items);
}

template <class T, int kDk, int kDv>
constexpr SelectedLaunches selected_launches() {
    return {.importance = launch_importance_of<T, kDk>,
            .forward = launch_selected_forward_of<T, kDk, kDv>,
            .dq = launch_selected_dq_of<T, kDk, kDv>,
            .dkdv = launch_selected_dkdv_of<T, kDk, kDv>};
}

}  // namespace nsa::core::cuda
