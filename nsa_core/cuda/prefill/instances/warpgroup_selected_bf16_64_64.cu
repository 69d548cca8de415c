#include "nsa_core/cuda/prefill/warpgroup/selected_launch.cuh"

namespace nsa::core::cuda {

const WarpgroupDkdv warpgroup_selected_bf16_64_64 = warpgroup_selected_of<__nv_bfloat16, 64, 64>();

}  // namespace nsa::core::cuda
