#include "nsa_core/cuda/decode/instances.hpp"
#include "nsa_core/cuda/decode/launch.cuh"

namespace nsa::core::cuda {

cudaError_t decode_bf16_128_128(const DecodeParams& params, const DecodePlan& plan, cudaStream_t stream,
                                DecodePart part) {
    return launch_decode_of<__nv_bfloat16, 128, 128>(params, plan, stream, part);
}

}  // namespace nsa::core::cuda
