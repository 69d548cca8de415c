#include "nsa_core/cuda/prefill/prefill.hpp"

#include <array>

#include "nsa_core/cuda/prefill/aligned.hpp"
#include "nsa_core/cuda/prefill/instances.hpp"
#include "nsa_core/cuda/prefill/warpgroup/instances.hpp"

namespace nsa::core::cuda {
namespace {

struct Instance {
    HalfType dtype;
    int dk;
    int dv;
    LaunchDenseForward* forward;
    LaunchDenseBackward* backward;
    const WarpgroupForward* warpgroup_forward = nullptr;
    const WarpgroupBackward* warpgroup_backward = nullptr;
};

constexpr std::array kInstances{
    Instance{HalfType::kBf16, 32, 32, dense_forward_bf16_32_32, dense_backward_bf16_32_32},
    Instance{HalfType::kFp16, 32, 32, dense_forward_fp16_32_32, dense_backward_fp16_32_32},
    Instance{HalfType::kBf16, 64, 64, dense_forward_bf16_64_64, dense_backward_bf16_64_64,
             &warpgroup_forward_bf16_64_64, &warpgroup_backward_bf16_64_64},
    Instance{HalfType::kFp16, 64, 64, dense_forward_fp16_64_64, dense_backward_fp16_64_64,
             &warpgroup_forward_fp16_64_64, &warpgroup_backward_fp16_64_64},
    Instance{HalfType::kBf16, 96, 96, dense_forward_bf16_96_96, dense_backward_bf16_96_96},
    Instance{HalfType::kFp16, 96, 96, dense_forward_fp16_96_96, dense_backward_fp16_96_96},
    Instance{HalfType::kBf16, 128, 128, dense_forward_bf16_128_128, dense_backward_bf16_128_128,
             &warpgroup_forward_bf16_128_128, &warpgroup_backward_bf16_128_128},
    Instance{HalfType::kFp16, 128, 128, dense_forward_fp16_128_128, dense_backward_fp16_128_128,
             &warpgroup_forward_fp16_128_128, &warpgroup_backward_fp16_128_128},
    Instance{HalfType::kBf16, 192, 128, dense_forward_bf16_192_128, dense_backward_bf16_192_128,
             &warpgroup_forward_bf16_192_128, &warpgroup_backward_bf16_192_128},
    Instance{HalfType::kFp16, 192, 128, dense_forward_fp16_192_128, dense_backward_fp16_192_128,
             &warpgroup_forward_fp16_192_128, &warpgroup_backward_fp16_192_128},
};

const Instance* instance_of(const PrefillShape& shape) {
    for (const Instance& instance : kInstances)
        if (instance.dtype == shape.dtype && instance.dk == shape.dk && instance.dv == shape.dv)
            return &instance;
    return nullptr;
}

}  // namespace

cudaError_t launch_dense_forward(const DenseForward& p, cudaStream_t stream, KernelPath path) {
    const Instance* instance = instance_of(p.shape);
    if (instance == nullptr || !(p.scale > 0.0F)) return cudaErrorInvalidValue;
    if (!aligned(p.q, p.k, p.v, p.out)) return cudaErrorMisalignedAddress;
    const WarpgroupForward* warpgroup = instance->warpgroup_forward;
    if (warpgroup != nullptr && warpgroup->takes(path)) return warpgroup->launch(p, stream);
    return path == KernelPath::kWarpgroup ? cudaErrorInvalidValue : instance->forward(p, stream);
}

cudaError_t launch_dense_backward(const DenseBackward& p, const DensePlan& plan, cudaStream_t stream,
                                  DensePart part, KernelPath path) {
    const Instance* instance = instance_of(p.shape);
    if (instance == nullptr || !(p.scale > 0.0F)) return cudaErrorInvalidValue;
    if (plan.splits > 1 && part != DensePart::kDq && p.partials == nullptr) return cudaErrorInvalidValue;
    if (!aligned(p.q, p.k, p.v, p.d_out, p.d_q, p.d_k, p.d_v)) return cudaErrorMisalignedAddress;
    const WarpgroupBackward* warpgroup = instance->warpgroup_backward;
    const bool by_warpgroups = warpgroup != nullptr && warpgroup->takes(path);
    if (path == KernelPath::kWarpgroup && !by_warpgroups) return cudaErrorInvalidValue;
    const cudaError_t error =
        by_warpgroups ? warpgroup->launch(p, plan, stream, part) : instance->backward(p, plan, stream, part);
    if (error != cudaSuccess || part == DensePart::kDq || plan.splits == 1) return error;
    return (p.shape.dtype == HalfType::kBf16 ? sum_partials_bf16 : sum_partials_fp16)(p, plan.splits, stream);
}

cudaError_t launch_mean_pool(const MeanPool& p, cudaStream_t stream) {
    if (!aligned(p.k, p.v, p.k_out, p.v_out)) return cudaErrorMisalignedAddress;
    return (p.shape.dtype == HalfType::kBf16 ? mean_pool_bf16 : mean_pool_fp16)(p, stream);
}

cudaError_t launch_mean_pool_backward(const MeanPoolBackward& p, cudaStream_t stream) {
    if (!aligned(p.d_k_out, p.d_v_out, p.d_k, p.d_v)) return cudaErrorMisalignedAddress;
    return (p.shape.dtype == HalfType::kBf16 ? mean_pool_backward_bf16 : mean_pool_backward_fp16)(p, stream);
}

cudaError_t launch_combine(const Combine& p, cudaStream_t stream) {
    if (!aligned(p.branch[0], p.branch[1], p.branch[2], p.out)) return cudaErrorMisalignedAddress;
    return (p.shape.dtype == HalfType::kBf16 ? combine_bf16 : combine_fp16)(p, stream);
}

cudaError_t launch_combine_backward(const CombineBackward& p, cudaStream_t stream) {
    if (!aligned(p.branch[0], p.branch[1], p.branch[2], p.d_out)) return cudaErrorMisalignedAddress;
    return (p.shape.dtype == HalfType::kBf16 ? combine_backward_bf16 : combine_backward_fp16)(p, stream);
}

}  // namespace nsa::core::cuda
