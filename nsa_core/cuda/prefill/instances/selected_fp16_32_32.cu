#include "nsa_core/cuda/prefill/selected_instances.hpp"
#include "nsa_core/cuda/prefill/selected_launch.cuh"

namespace nsa::core::cuda {

const SelectedLaunches selected_fp16_32_32 = selected_launches<__half, 32, 32>();

}  // namespace nsa::core::cuda
