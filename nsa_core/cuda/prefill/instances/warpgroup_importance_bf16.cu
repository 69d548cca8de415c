#include "nsa_core/cuda/prefill/warpgroup/importance_launch.cuh"

namespace nsa::core::cuda {

const WarpgroupImportance warpgroup_importance_bf16 = warpgroup_importance<__nv_bfloat16>();

}  // namespace nsa::core::cuda
