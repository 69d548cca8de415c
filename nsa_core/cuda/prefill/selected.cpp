#include "nsa_core/cuda/prefill/selected.hpp"

#include <array>

#include "nsa_core/cuda/prefill/selected_instances.hpp"

namespace nsa::core::cuda {
namespace {

struct Instance {
    HalfType dtype;
    int dk;
    int dv;
    const SelectedLaunches* launches;
};

constexpr std::array kInstances{
    Instance{HalfType::kBf16, 32, 32, &selected_bf16_32_32},
    Instance{HalfType::kFp16, 32, 32, &selected_fp16_32_32},
    Instance{HalfType::kBf16, 64, 64, &selected_bf16_64_64},
    Instance{HalfType::kFp16, 64, 64, &selected_fp16_64_64},
    Instance{HalfType::kBf16, 96, 96, &selected_bf16_96_96},
    Instance{HalfType::kFp16, 96, 96, &selected_fp16_96_96},
    Instance{HalfType::kBf16, 128, 128, &selected_bf16_128_128},
    Instance{HalfType::kFp16, 128, 128, &selected_fp16_128_128},
    Instance{HalfType::kBf16, 192, 128, &selected_bf16_192_128},
    Instance{HalfType::kFp16, 192, 128, &selected_fp16_192_128},
};

/// Runs `launch` of the shape's instance.
template <class... Parameters, class... Arguments>
cudaError_t with_instance(cudaError_t (*SelectedLaunches::*launch)(Parameters...), const PrefillShape& shape,
                          const Arguments&... arguments) {
    for (const Instance& instance : kInstances) {
        if (instance.dtype == shape.dtype && instance.dk == shape.dk && instance.dv == shape.dv)
            return (instance.launches->*launch)(arguments...);
    }
    return cudaErrorInvalidValue;
}

}  // namespace

cudaError_t launch_importance_top_n(const ImportanceTopN& params, cudaStream_t stream) {
    return with_instance(&SelectedLaunches::importance, params.shape, params, stream);
}

cudaError_t launch_selected_forward(const SelectedForward& params, const RingPlan& ring,
                                    cudaStream_t stream) {
    return with_instance(&SelectedLaunches::forward, params.shape, params, ring, stream);
}

cudaError_t launch_selected_dq(const SelectedBackward& params, const RingPlan& ring, cudaStream_t stream) {
    return with_instance(&SelectedLaunches::dq, params.shape, params, ring, stream);
}

cudaError_t launch_selected_dkdv(const SelectedBackward& params, cudaStream_t stream) {
    return with_instance(&SelectedLaunches::dkdv, params.shape, params, stream);
}

}  // namespace nsa::core::cuda
