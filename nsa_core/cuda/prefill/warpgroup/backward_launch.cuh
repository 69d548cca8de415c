// Launches of the backward with wgmma for one element type and pair of widths.
#pragma once

#include <algorithm>

#include "nsa_core/cuda/prefill/dense_items.cuh"
#include "nsa_core/cuda/prefill/launch.cuh"
#include "nsa_core/cuda/prefill/path.hpp"
#include "nsa_core/cuda/prefill/warpgroup/dense_dq.cuh"
#include "nsa_core/cuda/prefill/warpgroup/dkdv.cuh"
#include "nsa_core/cuda/prefill/warpgroup/instances.hpp"
#include "nsa_core/cuda/prefill/warpgroup/multiprocessors.hpp"

namespace nsa::core::cuda {

template <class T, int kDk, int kDv>
cudaError_t launch_warpgroup_dq_of(const DenseBackward& p, cudaStream_t stream) {
    int count = 0;
    const cudaError_t error = multiprocessors(count);
    if (error != cudaSuccess) return error;
    const QueryTiles tiles = query_tiles(p.shape, kWarpgroupDqRows / p.shape.heads_per_group());
    return launch(warpgroup_dq_kernel<T, kDk, kDv>,
                  {.blocks = std::min<std::int64_t>(tiles.all(), count),
                   .threads = kRoleThreads,
                   .shared_bytes = sizeof(WarpgroupDqShared<kDk, kDv>)},
                  stream, p, key_interval(p.shape, p.branch), group_heads(p.shape), tiles);
}

template <class T, int kDk, int kDv>
cudaError_t launch_warpgroup_dkdv_of(const DenseBackward& p, const DensePlan& plan, cudaStream_t stream) {
    const PrefillShape& shape = p.shape;
    const DenseItems items = dense_items(p, plan, kWarpgroupKeys);
    return launch(warpgroup_dkdv_kernel<T, kDk, kDv, DenseItems>,
                  {.blocks = std::int64_t{items.blocks_of_group()} * shape.groups,
                   .sequences = shape.batch,
                   .threads = kRoleThreads,
                   .shared_bytes = sizeof(WarpgroupDkdvShared<kDk, kDv, DenseItems>)},
                  stream, p, items, group_heads(shape));
}

template <class T, int kDk, int kDv>
constexpr WarpgroupBackward warpgroup_backward_of() {
    return {
        .takes = [](KernelPath path) { return takes(path, warpgroup_dkdv_kernel<T, kDk, kDv, DenseItems>); },
        .launch =
            [](const DenseBackward& p, const DensePlan& plan, cudaStream_t stream, DensePart part) {
                if (part != DensePart::kDkdv) {
                    const cudaError_t error = launch_warpgroup_dq_of<T, kDk, kDv>(p, stream);
                    if (error != cudaSuccess || part == DensePart::kDq) return error;
                }
                return launch_warpgroup_dkdv_of<T, kDk, kDv>(p, plan, stream);
            }};
}

}  // namespace nsa::core::cuda
