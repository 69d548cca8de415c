#include "nsa_core/cuda/compress/compress.hpp"

#include "nsa_core/cuda/compress/instances.hpp"
#include "nsa_core/cuda/prefill/aligned.hpp"

namespace nsa::core::cuda {
namespace {

bool aligned(const Phi& phi) {
    const auto at = [](const void* memory) { return ConstRows{memory, 0, 0, 0}; };
    return cuda::aligned(at(phi.position), at(phi.w1), at(phi.b1), at(phi.w2), at(phi.b2));
}

}  // namespace

cudaError_t launch_compress_forward(const CompressForward& p, cudaStream_t stream) {
    if (compress_unsupported(p.shape, p.hidden)) return cudaErrorInvalidValue;
    for (const CompressForward::Side& side : p.side)
        if (!aligned(side.phi) || !aligned(side.rows, side.out)) return cudaErrorMisalignedAddress;
    return (p.shape.dtype == HalfType::kBf16 ? compress_forward_bf16 : compress_forward_fp16)(p, stream);
}

cudaError_t launch_compress_backward(const CompressBackward& p, const CompressPlan& plan, cudaStream_t stream,
                                     CompressPart part) {
    if (compress_unsupported(p.shape, p.hidden)) return cudaErrorInvalidValue;
    for (const CompressBackward::Side& side : p.side)
        if (!aligned(side.phi) || !aligned(side.rows, side.d_out, side.d_rows))
            return cudaErrorMisalignedAddress;
    return (p.shape.dtype == HalfType::kBf16 ? compress_backward_bf16 : compress_backward_fp16)(p, plan,
                                                                                                stream, part);
}

}  // namespace nsa::core::cuda
