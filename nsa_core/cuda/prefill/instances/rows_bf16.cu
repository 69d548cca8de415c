#include "nsa_core/cuda/prefill/instances.hpp"
#include "nsa_core/cuda/prefill/rows_launch.cuh"

namespace nsa::core::cuda {

cudaError_t mean_pool_bf16(const MeanPool& params, cudaStream_t stream) {
    return launch_mean_pool_of<__nv_bfloat16>(params, stream);
}
cudaError_t mean_pool_backward_bf16(const MeanPoolBackward& params, cudaStream_t stream) {
    return launch_mean_pool_backward_of<__nv_bfloat16>(params, stream);
}
cudaError_t sum_partials_bf16(const DenseBackward& params, int splits, cudaStream_t stream) {
    return launch_sum_partials_of<__nv_bfloat16>(params, splits, stream);
}
cudaError_t combine_bf16(const Combine& params, cudaStream_t stream) {
    return launch_combine_of<__nv_bfloat16>(params, stream);
}
cudaError_t combine_backward_bf16(const CombineBackward& params, cudaStream_t stream) {
    return launch_combine_backward_of<__nv_bfloat16>(params, stream);
}

}  // namespace nsa::core::cuda
