#include "nsa_core/cuda/compress/instances.hpp"
#include "nsa_core/cuda/compress/launch.cuh"

namespace nsa::core::cuda {

cudaError_t compress_forward_fp16(const CompressForward& params, cudaStream_t stream) {
    return launch_compress_forward_of<__half>(params, stream);
}
cudaError_t compress_backward_fp16(const CompressBackward& params, const CompressPlan& plan,
                                   cudaStream_t stream, CompressPart part) {
    return launch_compress_backward_of<__half>(params, plan, stream, part);
}

}  // namespace nsa::core::cuda
