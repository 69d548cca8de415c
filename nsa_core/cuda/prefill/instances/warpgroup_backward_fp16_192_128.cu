#include "nsa_core/cuda/prefill/warpgroup/backward_launch.cuh"

namespace nsa::core::cuda {

const WarpgroupBackward warpgroup_backward_fp16_192_128 = warpgroup_backward_of<__half, 192, 128>();

}  // namespace nsa::core::cuda
