// Launches of a dense branch for one element type and pair of widths.
#pragma once

#include "nsa_core/cuda/device_limits.hpp"
#include "nsa_core/cuda/prefill/dense_dq.cuh"
#include "nsa_core/cuda/prefill/dense_forward.cuh"
#include "nsa_core/cuda/prefill/dense_items.cuh"
#include "nsa_core/cuda/prefill/launch.cuh"
#include "nsa_core/cuda/prefill/prefill.hpp"

namespace nsa::core::cuda {

// The chooser does not ask: what these take, every chip from 8.0 on has.
template <class Shared>
inline constexpr std::size_t kEverywhere = [] {
    static_assert(sizeof(Shared) <= shared_memory_limit(86), "8.6 has the least");
    return sizeof(Shared);
}();

[[nodiscard]] inline std::int64_t query_blocks(const PrefillShape& shape, int tile_rows) {
    return blocks_of(shape.max_tokens, tile_rows / shape.heads_per_group()) * shape.groups;
}

template <class T, int kDk, int kDv>
cudaError_t launch_dense_forward_of(const DenseForward& p, cudaStream_t stream) {
    return launch(dense_forward_kernel<T, kDk, kDv>,
                  {.blocks = query_blocks(p.shape, kTileRows),
                   .sequences = p.shape.batch,
                   .threads = kDenseThreads,
                   .shared_bytes = kEverywhere<DenseForwardShared<kDk, kDv>>},
                  stream, p, key_interval(p.shape, p.branch), group_heads(p.shape));
}

template <class T, int kDk, int kDv>
cudaError_t launch_dkdv_of(const DenseBackward& p, const DensePlan& plan, cudaStream_t stream) {
    const PrefillShape& shape = p.shape;
    const DenseItems items = dense_items(p, plan, kDkdvKeys);
    return launch(dkdv_kernel<T, kDk, kDv, DenseItems>,
                  {.blocks = std::int64_t{items.blocks_of_group()} * shape.groups,
                   .sequences = shape.batch,
                   .threads = kDenseThreads,
                   .shared_bytes = kEverywhere<DkdvShared<kDk, kDv>>},
                  stream, p, items, group_heads(shape));
}

template <class T, int kDk, int kDv>
cudaError_t launch_dense_backward_of(const DenseBackward& p, const DensePlan& plan, cudaStream_t stream,
                                     DensePart part) {
    if (part != DensePart::kDkdv) {
        const cudaError_t error = launch(dense_dq_kernel<T, kDk, kDv>,
                                         {.blocks = query_blocks(p.shape, kDqRows<kDk>),
                                          .sequences = p.shape.batch,
                                          .threads = kDenseThreads,
                                          .shared_bytes = kEverywhere<DqShared<kDk, kDv>>},
                                         stream, p, key_interval(p.shape, p.branch), group_heads(p.shape));
        if (error != cudaSuccess || part == DensePart::kDq) return error;
    }
    return launch_dkdv_of<T, kDk, kDv>(p, plan, stream);
}

}  // namespace nsa::core::cuda
