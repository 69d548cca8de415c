// The selection kernels on the device. selected_plan.hpp says what is supported. Launches on `stream`,
// without host reads, allocation or synchronisation: may be captured. The shape must be supported.
#pragma once

#include <driver_types.h>

#include "nsa_core/cuda/prefill/selected_plan.hpp"

namespace nsa::core::cuda {

[[nodiscard]] cudaError_t launch_importance_top_n(const ImportanceTopN& params, cudaStream_t stream);

/// `ring`: plan_selected_forward of the device; and plan_selected_dq below.
[[nodiscard]] cudaError_t launch_selected_forward(const SelectedForward& params, const RingPlan& ring,
                                                  cudaStream_t stream);

[[nodiscard]] cudaError_t launch_selected_dq(const SelectedBackward& params, const RingPlan& ring,
                                             cudaStream_t stream);

/// Three launches. `params.counts` holds nothing between calls.
[[nodiscard]] cudaError_t launch_inverse_lists(const MakeInverseLists& params, cudaStream_t stream);

/// From the lists of launch_inverse_lists: two launches, the second sums what the first left in parts.
[[nodiscard]] cudaError_t launch_selected_dkdv(const SelectedBackward& params, cudaStream_t stream);

}  // namespace nsa::core::cuda
