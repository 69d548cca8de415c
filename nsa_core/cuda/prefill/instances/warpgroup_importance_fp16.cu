#include "nsa_core/cuda/prefill/warpgroup/importance_launch.cuh"

namespace nsa::core::cuda {

const WarpgroupImportance warpgroup_importance_fp16 = warpgroup_importance<__half>();

}  // namespace nsa::core::cuda
