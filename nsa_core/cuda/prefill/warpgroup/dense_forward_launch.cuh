// Launch of the forward with wgmma for one element type and pair of widths.
#pragma once

#include <algorithm>

#include "nsa_core/cuda/prefill/launch.cuh"
#include "nsa_core/cuda/prefill/path.hpp"
#include "nsa_core/cuda/prefill/warpgroup/dense_forward.cuh"
#include "nsa_core/cuda/prefill/warpgroup/instances.hpp"
#include "nsa_core/cuda/prefill/warpgroup/multiprocessors.hpp"

namespace nsa::core::cuda {

// Keys of a step. A window of 512 is 519 keys for the 8 tokens of 16 heads: 5 steps of 112. Compressed keys
// are many, and more in a step read shared memory less often.
template <int kDk>
inline constexpr int kWindowKeys = kDk > 128 ? 96 : 112;
template <int kDk>
inline constexpr int kCompressedKeys = kDk > 128 ? 96 : 128;

template <class T, int kDk, int kDv, int kKeys>
cudaError_t launch_warpgroup_forward_of(const DenseForward& p, cudaStream_t stream) {
    int count = 0;
    const cudaError_t error = multiprocessors(count);
    if (error != cudaSuccess) return error;
    const QueryTiles tiles = query_tiles(p.shape, kForwardRows / p.shape.heads_per_group());
    return launch(warpgroup_forward_kernel<T, kDk, kDv, kKeys>,
                  {.blocks = std::min<std::int64_t>(tiles.all(), count),
                   .threads = kRoleThreads,
                   .shared_bytes = sizeof(WarpgroupForwardShared<kDk, kDv, kKeys>)},
                  stream, p, key_interval(p.shape, p.branch), group_heads(p.shape), tiles);
}

template <class T, int kDk, int kDv>
constexpr WarpgroupForward warpgroup_forward_of() {
    return {.takes =
                [](KernelPath path) {
                    return takes(path, warpgroup_forward_kernel<T, kDk, kDv, kWindowKeys<kDk>>);
                },
            .launch =
                [](const DenseForward& p, cudaStream_t stream) {
                    return p.branch == DenseBranch::kWindow
                               ? launch_warpgroup_forward_of<T, kDk, kDv, kWindowKeys<kDk>>(p, stream)
                               : launch_warpgroup_forward_of<T, kDk, kDv, kCompressedKeys<kDk>>(p, stream);
                }};
}

}  // namespace nsa::core::cuda
