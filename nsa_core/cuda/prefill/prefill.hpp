// The prefill and training kernels on the device. plan.hpp says what is supported, how the backward is cut
// and how much scratch it needs.
//
// Every launch is asynchronous on `stream`, allocates nothing and reads nothing on the host: all may be
// captured. Shapes must be supported. Results do not depend on the order in which thread blocks run: the same
// plan gives the same bits. A launch returns the first error: cudaErrorMisalignedAddress for rows that do not
// begin at multiples of 16 bytes, cudaErrorInvalidValue for a scale that is not above 0.
#pragma once

#include <driver_types.h>

#include "nsa_core/cuda/prefill/params.hpp"
#include "nsa_core/cuda/prefill/path.hpp"
#include "nsa_core/cuda/prefill/plan.hpp"

namespace nsa::core::cuda {

/// Which parts of a backward a launch performs: one at a time when each is timed.
enum class DensePart : std::uint8_t { kAll, kDq, kDkdv };

/// cudaErrorInvalidValue for kWarpgroup and widths that it has no kernel for.
[[nodiscard]] cudaError_t launch_dense_forward(const DenseForward& params, cudaStream_t stream,
                                               KernelPath path = KernelPath::kAuto);

/// `plan`: the one that the partials were sized for. `path`: as there.
[[nodiscard]] cudaError_t launch_dense_backward(const DenseBackward& params, const DensePlan& plan,
                                                cudaStream_t stream, DensePart part = DensePart::kAll,
                                                KernelPath path = KernelPath::kAuto);

[[nodiscard]] cudaError_t launch_mean_pool(const MeanPool& params, cudaStream_t stream);
[[nodiscard]] cudaError_t launch_mean_pool_backward(const MeanPoolBackward& params, cudaStream_t stream);

[[nodiscard]] cudaError_t launch_combine(const Combine& params, cudaStream_t stream);
[[nodiscard]] cudaError_t launch_combine_backward(const CombineBackward& params, cudaStream_t stream);

}  // namespace nsa::core::cuda
