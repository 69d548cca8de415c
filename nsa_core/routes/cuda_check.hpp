// What CUDA's host calls return, as an exception. Includes CUDA: for files of builds with it.
#pragma once

#include <c10/util/Exception.h>
#include <cuda_runtime_api.h>

namespace nsa::core {

/// Throws c10::Error, `what` and CUDA's reason.
inline void check_cuda(cudaError_t error, const char* what) {
    TORCH_CHECK(error == cudaSuccess, what, ": ", cudaGetErrorString(error));
}

}  // namespace nsa::core
