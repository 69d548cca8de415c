// What the tensor entry points of prefill ask of a device: memory, and one launch each. Apart from them, so
// that tests put kernels on the emulator in their place, and canaries around the memory.
#pragma once

#include <ATen/core/Tensor.h>

#include "nsa_core/cuda/compress/plan.hpp"
#include "nsa_core/cuda/prefill/params.hpp"
#include "nsa_core/cuda/prefill/plan.hpp"
#include "nsa_core/cuda/prefill/selected_params.hpp"

namespace nsa::core {

/// Parameters are checked already; pointers are of the device. A launch is asynchronous on the current
/// stream, allocates nothing and may be captured. One that fails throws c10::Error.
class PrefillKernels {
  public:
    virtual ~PrefillKernels() = default;

    [[nodiscard]] virtual cuda::DeviceLimits limits() const = 0;

    /// A contiguous tensor that launches write whole: a result or scratch. From Torch's allocator.
    [[nodiscard]] virtual at::Tensor empty(at::IntArrayRef sizes, at::TensorOptions options) const;

    virtual void mean_pool(const cuda::MeanPool& params) const = 0;
    virtual void mean_pool_backward(const cuda::MeanPoolBackward& params) const = 0;
    virtual void compress_forward(const cuda::CompressForward& params) const = 0;
    virtual void compress_backward(const cuda::CompressBackward& params,
                                   const cuda::CompressPlan& plan) const = 0;
    virtual void dense_forward(const cuda::DenseForward& params) const = 0;
    virtual void dense_backward(const cuda::DenseBackward& params, const cuda::DensePlan& plan) const = 0;
    virtual void importance_top_n(const cuda::ImportanceTopN& params) const = 0;
    virtual void inverse_lists(const cuda::MakeInverseLists& params) const = 0;
    virtual void selected_forward(const cuda::SelectedForward& params) const = 0;
    virtual void selected_backward(const cuda::SelectedBackward& params) const = 0;
    virtual void combine(const cuda::Combine& params) const = 0;
    virtual void combine_backward(const cuda::CombineBackward& params) const = 0;
};

/// Our kernels on a CUDA device; lives as long as the program. Throws InputError in a build without them.
[[nodiscard]] const PrefillKernels& cuda_prefill_kernels(c10::Device device);

}  // namespace nsa::core
