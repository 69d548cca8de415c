#include "nsa_core/cuda/prefill/warpgroup/selected_launch.cuh"

namespace nsa::core::cuda {

const WarpgroupDkdv warpgroup_selected_bf16_128_128 = warpgroup_selected_of<__nv_bfloat16, 128, 128>();

}  // namespace nsa::core::cuda
