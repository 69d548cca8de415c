#include "nsa_core/cuda/prefill/warpgroup/backward_launch.cuh"

namespace nsa::core::cuda {

const WarpgroupBackward warpgroup_backward_bf16_128_128 = warpgroup_backward_of<__nv_bfloat16, 128, 128>();

}  // namespace nsa::core::cuda
