#include "nsa_core/device.hpp"

#include <ATen/detail/CUDAHooksInterface.h>

#include "nsa_core/errors.hpp"

#ifdef NSA_WITH_CUDA
#include <cuda_runtime_api.h>
#endif

namespace nsa::core {

at::ScalarType scalar_type(DType dtype) {
    switch (dtype) {
        case DType::kFp64:
            return at::kDouble;
        case DType::kFp32:
            return at::kFloat;
        case DType::kFp16:
            return at::kHalf;
        case DType::kBf16:
            return at::kBFloat16;
    }
    return at::kFloat;
}

DType dtype_of(const at::Tensor& tensor) {
    for (const DType dtype : {DType::kFp64, DType::kFp32, DType::kFp16, DType::kBf16}) {
        if (tensor.scalar_type() == scalar_type(dtype)) return dtype;
    }
    throw InputError(std::string{"a tensor of type "} + c10::toString(tensor.scalar_type()) +
                     " was given; attention takes fp64, fp32, fp16 and bf16");
}

bool cuda_available() {
    return at::detail::getCUDAHooks().hasCUDA();
}

int compute_capability(at::Device device) {
    if (!device.is_cuda()) return 0;
#ifdef NSA_WITH_CUDA
    int index = device.index();
    int major = 0;
    int minor = 0;
    TORCH_CHECK(device.has_index() || cudaGetDevice(&index) == cudaSuccess,
                "there is no current CUDA device");
    TORCH_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index) == cudaSuccess &&
                    cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index) == cudaSuccess,
                "CUDA device ", index, " does not tell its compute capability");
    return 10 * major + minor;
#else
    throw InputError("this build has no CUDA support, and a tensor on " + device.str() + " was given");
#endif
}

}  // namespace nsa::core
