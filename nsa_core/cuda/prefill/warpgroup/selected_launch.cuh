// Launch of dK and dV of the selected branch with wgmma for one element type and pair of widths.
#pragma once

#include "nsa_core/cuda/prefill/launch.cuh"
#include "nsa_core/cuda/prefill/selected_dkdv.cuh"
#include "nsa_core/cuda/prefill/selected_instances.hpp"
#include "nsa_core/cuda/prefill/warpgroup/dkdv.cuh"

namespace nsa::core::cuda {

template <class T, int kDk, int kDv>
constexpr WarpgroupDkdv warpgroup_selected_of() {
    return {
        .takes =
            [](KernelPath path) { return takes(path, warpgroup_dkdv_kernel<T, kDk, kDv, SelectedItems>); },
        .launch =
            [](const SelectedBackward& p, cudaStream_t stream) {
                return launch(warpgroup_dkdv_kernel<T, kDk, kDv, SelectedItems>,
                              {.blocks = selected_dkdv_blocks(p),
                               .sequences = p.shape.batch,
                               .threads = kRoleThreads,
                               .shared_bytes = sizeof(WarpgroupDkdvShared<kDk, kDv, SelectedItems>)},
                              stream, dkdv_parameters(p), selected_items(p), group_heads(p.shape));
            }};
}

}  // namespace nsa::core::cuda
