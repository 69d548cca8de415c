// What every kernel of route cuda needs of program, device and type. Pure; no Torch.
#pragma once

#include <optional>
#include <string>

#include "nsa_core/numeric.hpp"

namespace nsa::core {

struct CudaHost {
    bool kernels = false;  // this program was built with nvcc
    bool cuda = false;     // the tensors live on a CUDA device
    int sm = 0;            // its compute capability, 10 * major + minor
    DType dtype = DType::kBf16;
};

/// Nothing when attention on route cuda can run there; else what it needs and what there is.
[[nodiscard]] std::optional<std::string> cuda_host_unsupported(const CudaHost& host);

}  // namespace nsa::core
