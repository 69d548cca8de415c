#include "nsa_core/cuda/prefill/warpgroup/dense_forward_launch.cuh"

namespace nsa::core::cuda {

const WarpgroupForward warpgroup_forward_bf16_64_64 = warpgroup_forward_of<__nv_bfloat16, 64, 64>();

}  // namespace nsa::core::cuda
