#include "nsa_core/cuda/prefill/warpgroup/dense_forward_launch.cuh"

namespace nsa::core::cuda {

const WarpgroupForward warpgroup_forward_bf16_128_128 = warpgroup_forward_of<__nv_bfloat16, 128, 128>();

}  // namespace nsa::core::cuda
