#include "nsa_core/cuda/prefill/dense_launch.cuh"
#include "nsa_core/cuda/prefill/instances.hpp"

namespace nsa::core::cuda {

cudaError_t dense_forward_bf16_128_128(const DenseForward& params, cudaStream_t stream) {
    return launch_dense_forward_of<__nv_bfloat16, 128, 128>(params, stream);
}

cudaError_t dense_backward_bf16_128_128(const DenseBackward& params, const DensePlan& plan,
                                        cudaStream_t stream, DensePart part) {
    return launch_dense_backward_of<__nv_bfloat16, 128, 128>(params, plan, stream, part);
}

}  // namespace nsa::core::cuda
