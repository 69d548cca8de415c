// In place of cuda_prefill_kernels.cpp in a build without nvcc.
#include "nsa_core/errors.hpp"
#include "nsa_core/routes.hpp"
#include "nsa_core/routes/prefill_kernels.hpp"

namespace nsa::core {

const PrefillKernels& cuda_prefill_kernels(c10::Device) {
    throw InputError(unsupported_reason(Route::kCuda, RouteRequest{}).value());
}

}  // namespace nsa::core
