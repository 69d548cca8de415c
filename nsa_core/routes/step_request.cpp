#include <ATen/core/Tensor.h>

#include "nsa_core/device.hpp"
#include "nsa_core/routes/cuda_decode.hpp"

namespace nsa::core {

StepRequest request_for(const PagedCache& cache) {
    const at::Tensor& keys = cache.sel().k;
    return {.config = cache.config(),
            .dtype = dtype_of(keys),
            .page_tokens = cache.size().page_tokens,
            .max_tokens = cache.size().max_tokens,
            .cuda = keys.is_cuda(),
            .sm = compute_capability(keys.device()),
            .kernels = kernels_built()};
}

}  // namespace nsa::core
