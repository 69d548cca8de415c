#include "nsa_core/cuda/prefill/warpgroup/backward_launch.cuh"

namespace nsa::core::cuda {

const WarpgroupBackward warpgroup_backward_bf16_192_128 = warpgroup_backward_of<__nv_bfloat16, 192, 128>();

}  // namespace nsa::core::cuda
