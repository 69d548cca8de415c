#include "nsa_core/cuda/prefill/warpgroup/selected_launch.cuh"

namespace nsa::core::cuda {

const WarpgroupDkdv warpgroup_selected_fp16_192_128 = warpgroup_selected_of<__half, 192, 128>();

}  // namespace nsa::core::cuda
