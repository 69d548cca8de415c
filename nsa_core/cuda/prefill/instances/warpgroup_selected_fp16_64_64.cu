#include "nsa_core/cuda/prefill/warpgroup/selected_launch.cuh"

namespace nsa::core::cuda {

const WarpgroupDkdv warpgroup_selected_fp16_64_64 = warpgroup_selected_of<__half, 64, 64>();

}  // namespace nsa::core::cuda
