#include "nsa_core/cuda/decode/decode.hpp"

#include <array>

#include "nsa_core/cuda/decode/instances.hpp"

namespace nsa::core::cuda {
namespace {

struct Instance {
    HalfType dtype;
    int dk;
    int dv;
    LaunchDecode* launch;
};

constexpr std::array kInstances{
    Instance{HalfType::kBf16, 32, 32, decode_bf16_32_32},
    Instance{HalfType::kFp16, 32, 32, decode_fp16_32_32},
    Instance{HalfType::kBf16, 64, 64, decode_bf16_64_64},
    Instance{HalfType::kFp16, 64, 64, decode_fp16_64_64},
    Instance{HalfType::kBf16, 96, 96, decode_bf16_96_96},
    Instance{HalfType::kFp16, 96, 96, decode_fp16_96_96},
    Instance{HalfType::kBf16, 128, 128, decode_bf16_128_128},
    Instance{HalfType::kFp16, 128, 128, decode_fp16_128_128},
    Instance{HalfType::kBf16, 192, 128, decode_bf16_192_128},
    Instance{HalfType::kFp16, 192, 128, decode_fp16_192_128},
};

}  // namespace

cudaError_t launch_decode(const DecodeParams& params, const DecodePlan& plan, cudaStream_t stream,
                          DecodePart part) {
    for (const Instance& instance : kInstances) {
        if (instance.dtype == params.shape.dtype && instance.dk == params.shape.dk &&
            instance.dv == params.shape.dv) {
            return instance.launch(params, plan, stream, part);
        }
    }
    return cudaErrorInvalidValue;
}

}  // namespace nsa::core::cuda
