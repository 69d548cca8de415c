#include "nsa_core/cuda/prefill/selected_instances.hpp"
#include "nsa_core/cuda/prefill/selected_launch.cuh"

namespace nsa::core::cuda {

const SelectedLaunches selected_fp16_128_128 = selected_launches<__half, 128, 128>();

}  // namespace nsa::core::cuda
