#include "nsa_core/routes/cuda_decode.hpp"

#include <ATen/ATen.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <string>

#include "nsa_core/cuda/decode/decode.hpp"
#include "nsa_core/cuda/decode/plan.hpp"
#include "nsa_core/cuda/device.hpp"
#include "nsa_core/device.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/routes/cuda_check.hpp"
#include "nsa_core/routes/decode_params.hpp"
#include "nsa_core/routes/decode_shape.hpp"

namespace nsa::core {

struct CudaDecode::Impl {
    NsaConfig config;
    PagedCacheSize size;
    cuda::DecodeShape shape;
    cuda::DeviceLimits limits;
    cuda::DecodePlan plan;
    at::Tensor workspace;
    at::Device device;
};

bool kernels_built() {
    return true;
}

CudaDecode::CudaDecode(const PagedCache& cache) {
    if (const auto reason = unsupported_reason(Route::kCuda, request_for(cache))) throw InputError(*reason);
    const at::Tensor& keys = cache.sel().k;
    const c10::cuda::CUDAGuard on_device{keys.device()};
    cuda::DeviceLimits limits;
    check_cuda(cuda::device_limits(keys.device().index(), limits), "the limits of the device");
    const cuda::DecodeShape shape = decode_shape(request_for(cache), cache.size().batch);
    if (const auto reason = cuda::decode_unsupported(shape)) throw InputError(*reason);  // the batch too
    const cuda::DecodePlan plan = cuda::plan_decode(shape, limits);
    const auto bytes = static_cast<std::int64_t>(cuda::layout_workspace(shape, plan).bytes);
    impl_ = std::make_unique<Impl>(Impl{.config = cache.config(),
                                        .size = cache.size(),
                                        .shape = shape,
                                        .limits = limits,
                                        .plan = plan,
                                        .workspace = at::empty({bytes}, keys.options().dtype(at::kByte)),
                                        .device = keys.device()});
}

CudaDecode::~CudaDecode() = default;
CudaDecode::CudaDecode(CudaDecode&&) noexcept = default;
CudaDecode& CudaDecode::operator=(CudaDecode&&) noexcept = default;

at::Tensor CudaDecode::workspace() const {
    return impl_->workspace;
}

std::string CudaDecode::plan_text() const {
    return "splits " + std::to_string(impl_->plan.splits) + ", cluster " +
           std::to_string(impl_->plan.cluster) + ", sm_" + std::to_string(impl_->limits.sm);
}

void CudaDecode::step(const PagedStepInputs& in, const PagedCache& cache, const PagedStepOutputs& out,
                      cuda::DecodePart part) {
    if (cache.config() != impl_->config || cache.size() != impl_->size)
        throw InputError("the cache differs in shape from the one that the step was made for");
    const cuda::DecodeParams params = decode_params(impl_->shape, in, cache, out, impl_->workspace);
    const c10::cuda::CUDAGuard on_device{impl_->device};
    const cudaStream_t stream = c10::cuda::getCurrentCUDAStream(impl_->device.index());
    check_cuda(cuda::launch_decode(params, impl_->plan, stream, part), "the decode step");
}

}  // namespace nsa::core
