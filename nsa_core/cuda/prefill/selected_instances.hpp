// The launches for each element type and pair of widths: one file each in instances/, so that they compile
// side by side.
#pragma once

#include <driver_types.h>

#include "nsa_core/cuda/prefill/path.hpp"
#include "nsa_core/cuda/prefill/selected_plan.hpp"

namespace nsa::core::cuda {

struct SelectedLaunches {
    cudaError_t (*importance)(const ImportanceTopN&, cudaStream_t);
    cudaError_t (*forward)(const SelectedForward&, const RingPlan&, cudaStream_t);
    cudaError_t (*dq)(const SelectedBackward&, const RingPlan&, cudaStream_t);
    cudaError_t (*dkdv)(const SelectedBackward&, cudaStream_t);
    cudaError_t (*sum)(const SelectedBackward&, cudaStream_t);  // of its parts
};

extern const SelectedLaunches selected_bf16_32_32, selected_bf16_64_64, selected_bf16_96_96,
    selected_bf16_128_128, selected_bf16_192_128;
extern const SelectedLaunches selected_fp16_32_32, selected_fp16_64_64, selected_fp16_96_96,
    selected_fp16_128_128, selected_fp16_192_128;

/// importance_top_n by a warpgroup, of one element type: whether a launch by this path takes it, and the
/// launch.
struct WarpgroupImportance {
    bool (*takes)(KernelPath, const PrefillShape&);
    cudaError_t (*launch)(const ImportanceTopN&, std::size_t shared_bytes, cudaStream_t);
};
extern const WarpgroupImportance warpgroup_importance_bf16, warpgroup_importance_fp16;

/// dK and dV by warpgroups.
struct WarpgroupDkdv {
    bool (*takes)(KernelPath);
    cudaError_t (*launch)(const SelectedBackward&, cudaStream_t);
};
extern const WarpgroupDkdv warpgroup_selected_bf16_64_64, warpgroup_selected_bf16_128_128,
    warpgroup_selected_bf16_192_128;
extern const WarpgroupDkdv warpgroup_selected_fp16_64_64, warpgroup_selected_fp16_128_128,
    warpgroup_selected_fp16_192_128;

}  // namespace nsa::core::cuda
