// The selection kernels on the device. selected_plan.hpp says what is supported, and how much scratch is
// needed.
//
// Every launch is asynchronous on `stream`, allocates nothing and reads nothing on the host: all may be
// captured. Shapes must be supported. Results do not depend on the order in which thread blocks run. A launch
// returns the first error: cudaErrorMisalignedAddress for rows that do not begin at multiples of 16 bytes,
// cudaErrorInvalidValue for a scale that is not above 0 or a plan that is none.
#pragma once

#include <driver_types.h>

#include "nsa_core/cuda/prefill/path.hpp"
#include "nsa_core/cuda/prefill/selected_plan.hpp"

namespace nsa::core::cuda {

/// The warpgroup's kernel takes shapes that have warpgroup_top_n_shared_bytes(), and the other one
/// everything. cudaErrorInvalidValue for kWarpgroup and a shape that has none.
[[nodiscard]] cudaError_t launch_importance_top_n(const ImportanceTopN& params, cudaStream_t stream,
                                                  KernelPath path = KernelPath::kAuto);

/// `ring`: plan_selected_forward of the device's limits; and plan_selected_dq below.
[[nodiscard]] cudaError_t launch_selected_forward(const SelectedForward& params, const RingPlan& ring,
                                                  cudaStream_t stream);

[[nodiscard]] cudaError_t launch_selected_dq(const SelectedBackward& params, const RingPlan& ring,
                                             cudaStream_t stream);

/// Four launches. `params.counts` holds nothing between calls.
[[nodiscard]] cudaError_t launch_inverse_lists(const MakeInverseLists& params, cudaStream_t stream);

/// From the lists of launch_inverse_lists: two launches, the second sums what the first left in parts.
/// cudaErrorInvalidValue for kWarpgroup and widths that it has no kernel for.
[[nodiscard]] cudaError_t launch_selected_dkdv(const SelectedBackward& params, cudaStream_t stream,
                                               KernelPath path = KernelPath::kAuto);

}  // namespace nsa::core::cuda
