#include "nsa_core/cuda/prefill/warpgroup/backward_launch.cuh"

namespace nsa::core::cuda {

const WarpgroupBackward warpgroup_backward_bf16_64_64 = warpgroup_backward_of<__nv_bfloat16, 64, 64>();

}  // namespace nsa::core::cuda
