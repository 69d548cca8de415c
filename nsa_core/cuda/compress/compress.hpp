// Learnable compression on the device, forward and backward. plan.hpp says what is supported, how the
// gradients of the weights are cut and how much scratch they need.
//
// Every launch is asynchronous on `stream`, allocates nothing and reads nothing on the host: all may be
// captured. No atomics: the same plan gives the same bits. Shapes must be supported and have a compressed
// token, at least where the lengths are known on the host. A launch returns the first error;
// cudaErrorMisalignedAddress for rows and weights that do not begin at multiples of 16 bytes.
#pragma once

#include <driver_types.h>

#include "nsa_core/cuda/compress/params.hpp"
#include "nsa_core/cuda/compress/plan.hpp"

namespace nsa::core::cuda {

[[nodiscard]] cudaError_t launch_compress_forward(const CompressForward& params, cudaStream_t stream);

/// Which parts of the backward a launch performs: one at a time when each is timed. The others build on kPre.
enum class CompressPart : std::uint8_t { kAll, kPre, kWeights, kRows };

/// `plan`: the one that the parts were sized for.
[[nodiscard]] cudaError_t launch_compress_backward(const CompressBackward& params, const CompressPlan& plan,
                                                   cudaStream_t stream,
                                                   CompressPart part = CompressPart::kAll);

}  // namespace nsa::core::cuda
