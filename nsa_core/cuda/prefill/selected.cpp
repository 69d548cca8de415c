#include "nsa_core/cuda/prefill/selected.hpp"

#include <array>

#include "nsa_core/cuda/prefill/aligned.hpp"
#include "nsa_core/cuda/prefill/selected_instances.hpp"

namespace nsa::core::cuda {
namespace {

struct Instance {
    HalfType dtype;
    int dk;
    int dv;
    const SelectedLaunches* launches;
    const WarpgroupDkdv* warpgroup_dkdv = nullptr;
};

constexpr std::array kInstances{
    Instance{HalfType::kBf16, 32, 32, &selected_bf16_32_32},
    Instance{HalfType::kFp16, 32, 32, &selected_fp16_32_32},
    Instance{HalfType::kBf16, 64, 64, &selected_bf16_64_64, &warpgroup_selected_bf16_64_64},
    Instance{HalfType::kFp16, 64, 64, &selected_fp16_64_64, &warpgroup_selected_fp16_64_64},
    Instance{HalfType::kBf16, 96, 96, &selected_bf16_96_96},
    Instance{HalfType::kFp16, 96, 96, &selected_fp16_96_96},
    Instance{HalfType::kBf16, 128, 128, &selected_bf16_128_128, &warpgroup_selected_bf16_128_128},
    Instance{HalfType::kFp16, 128, 128, &selected_fp16_128_128, &warpgroup_selected_fp16_128_128},
    Instance{HalfType::kBf16, 192, 128, &selected_bf16_192_128, &warpgroup_selected_bf16_192_128},
    Instance{HalfType::kFp16, 192, 128, &selected_fp16_192_128, &warpgroup_selected_fp16_192_128},
};

const Instance* instance_of(const PrefillShape& shape) {
    for (const Instance& instance : kInstances)
        if (instance.dtype == shape.dtype && instance.dk == shape.dk && instance.dv == shape.dv)
            return &instance;
    return nullptr;
}
const SelectedLaunches* launches_of(const PrefillShape& shape) {
    const Instance* instance = instance_of(shape);
    return instance == nullptr ? nullptr : instance->launches;
}

constexpr int kFewestStages = 2;  // which the outputs need as well

}  // namespace

cudaError_t launch_importance_top_n(const ImportanceTopN& p, cudaStream_t stream, KernelPath path) {
    const SelectedLaunches* launches = launches_of(p.shape);
    if (launches == nullptr || !(p.scale > 0.0F)) return cudaErrorInvalidValue;
    if (!aligned(p.q, p.k)) return cudaErrorMisalignedAddress;
    const std::optional<std::size_t> shared_bytes = warpgroup_top_n_shared_bytes(p.shape);
    const WarpgroupImportance& by_warpgroups =
        p.shape.dtype == HalfType::kBf16 ? warpgroup_importance_bf16 : warpgroup_importance_fp16;
    if (shared_bytes && by_warpgroups.takes(path, p.shape))
        return by_warpgroups.launch(p, *shared_bytes, stream);
    return path == KernelPath::kWarpgroup ? cudaErrorInvalidValue : launches->importance(p, stream);
}

cudaError_t launch_selected_forward(const SelectedForward& p, const RingPlan& ring, cudaStream_t stream) {
    const SelectedLaunches* launches = launches_of(p.shape);
    if (launches == nullptr || !(p.scale > 0.0F) || ring.stages < kFewestStages) return cudaErrorInvalidValue;
    if (!aligned(p.q, p.k, p.v, p.out)) return cudaErrorMisalignedAddress;
    return launches->forward(p, ring, stream);
}

cudaError_t launch_selected_dq(const SelectedBackward& p, const RingPlan& ring, cudaStream_t stream) {
    const SelectedLaunches* launches = launches_of(p.shape);
    if (launches == nullptr || !(p.scale > 0.0F) || ring.stages < kFewestStages) return cudaErrorInvalidValue;
    if (!aligned(p.q, p.k, p.v, p.d_out, p.d_q)) return cudaErrorMisalignedAddress;
    return launches->dq(p, ring, stream);
}

cudaError_t launch_selected_dkdv(const SelectedBackward& p, cudaStream_t stream, KernelPath path) {
    const Instance* instance = instance_of(p.shape);
    const int item_tokens = p.inverse.item_tokens;
    if (instance == nullptr || !(p.scale > 0.0F) || item_tokens < 1 || item_tokens > kMaxItemTokens)
        return cudaErrorInvalidValue;
    if (!aligned(p.q, p.k, p.v, p.d_out, p.d_k, p.d_v)) return cudaErrorMisalignedAddress;
    const WarpgroupDkdv* warpgroup = instance->warpgroup_dkdv;
    const bool by_warpgroups = warpgroup != nullptr && warpgroup->takes(path);
    if (path == KernelPath::kWarpgroup && !by_warpgroups) return cudaErrorInvalidValue;
    const cudaError_t error = (by_warpgroups ? warpgroup->launch : instance->launches->dkdv)(p, stream);
    return error == cudaSuccess ? instance->launches->sum(p, stream) : error;
}

}  // namespace nsa::core::cuda
