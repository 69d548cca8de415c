#include "nsa_core/cuda/prefill/warpgroup/dense_forward_launch.cuh"

namespace nsa::core::cuda {

const WarpgroupForward warpgroup_forward_fp16_192_128 = warpgroup_forward_of<__half, 192, 128>();

}  // namespace nsa::core::cuda
