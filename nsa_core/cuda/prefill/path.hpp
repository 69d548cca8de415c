// Which kernels a launch takes: those of mma.sync, which every chip from sm_80 on runs, or those of a
// warpgroup, which are compiled for sm_90a alone and exist for widths that are multiples of 64.
#pragma once

#include <cuda_runtime.h>

namespace nsa::core::cuda {

enum class KernelPath {
    kAuto,       ///< the warpgroup's where there is one
    kMma,        ///< mma.sync
    kWarpgroup,  ///< or the launch fails
};

/// Whether the current device has machine code of the kernel. Not under CUDA_FORCE_PTX_JIT=1 when it comes
/// without PTX.
template <class... Parameters>
[[nodiscard]] bool has_image(void (*kernel)(Parameters...)) {
    cudaFuncAttributes attributes{};
    if (cudaFuncGetAttributes(&attributes, kernel) == cudaSuccess) return true;
    (void)cudaGetLastError();  // else it would be found after the next launch
    return false;
}

/// Whether a launch by this path takes the warpgroup's kernel, which exists.
template <class... Parameters>
[[nodiscard]] bool takes(KernelPath path, void (*warpgroup_kernel)(Parameters...)) {
    return path == KernelPath::kWarpgroup || (path == KernelPath::kAuto && has_image(warpgroup_kernel));
}

}  // namespace nsa::core::cuda
