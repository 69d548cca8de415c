#include "nsa_core/cuda/decode/instances.hpp"
#include "nsa_core/cuda/decode/launch.cuh"

namespace nsa::core::cuda {

cudaError_t decode_fp16_96_96(const DecodeParams& params, const DecodePlan& plan, cudaStream_t stream,
                              DecodePart part) {
    return launch_decode_of<__half, 96, 96>(params, plan, stream, part);
}

}  // namespace nsa::core::cuda
