#include "nsa_core/cuda/prefill/selected_instances.hpp"
#include "nsa_core/cuda/prefill/selected_launch.cuh"

namespace nsa::core::cuda {

const SelectedLaunches selected_bf16_64_64 = selected_launches<__nv_bfloat16, 64, 64>();

}  // namespace nsa::core::cuda
