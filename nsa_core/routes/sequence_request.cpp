// A file of its own: tests whose tensors lie on an emulated device put their own in its place.
#include <ATen/core/Tensor.h>

#include "nsa_core/device.hpp"
#include "nsa_core/routes/cuda_decode.hpp"

namespace nsa::core {

RouteRequest request_for(Branch branch, const NsaConfig& config, const at::Tensor& q, std::int64_t length,
                         std::int64_t key_len) {
    return {.branch = branch,
            .config = config,
            .dtype = dtype_of(q),
            .cuda = q.is_cuda(),
            .sm = compute_capability(q.device()),
            .kernels = kernels_built(),
            .batch = q.size(0),
            .length = length,
            .key_len = key_len};
}

}  // namespace nsa::core
