// Prefill kernels whose results and scratch lie in memory of their own, not written yet, between canaries.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "nsa_core/routes/prefill_kernels.hpp"

namespace nsa::core::parity {

// Passes every launch on. Memory is filled by copies from the host, so no kernel of Torch's runs for it, and
// is kept until this ends, for canary_hits(); tensors keep their own share.
class GuardedKernels : public PrefillKernels {
  public:
    explicit GuardedKernels(const PrefillKernels& kernels) : kernels_{kernels} {}

    // Bytes before and behind that memory which were written, over all of it. Waits for the device.
    [[nodiscard]] std::int64_t canary_hits() const;

    at::Tensor empty(at::IntArrayRef sizes, at::TensorOptions options) const override;
    cuda::DeviceLimits limits() const override { return kernels_.limits(); }
    void mean_pool(const cuda::MeanPool& p) const override { kernels_.mean_pool(p); }
    void mean_pool_backward(const cuda::MeanPoolBackward& p) const override {
        kernels_.mean_pool_backward(p);
    }
    void compress_forward(const cuda::CompressForward& p) const override { kernels_.compress_forward(p); }
    void compress_backward(const cuda::CompressBackward& p, const cuda::CompressPlan& plan) const override {
        kernels_.compress_backward(p, plan);
    }
    void dense_forward(const cuda::DenseForward& p) const override { kernels_.dense_forward(p); }
    void dense_backward(const cuda::DenseBackward& p, const cuda::DensePlan& plan) const override {
        kernels_.dense_backward(p, plan);
    }
    void importance_top_n(const cuda::ImportanceTopN& p) const override { kernels_.importance_top_n(p); }
    void inverse_lists(const cuda::MakeInverseLists& p) const override { kernels_.inverse_lists(p); }
    void selected_forward(const cuda::SelectedForward& p) const override { kernels_.selected_forward(p); }
    void selected_backward(const cuda::SelectedBackward& p) const override { kernels_.selected_backward(p); }
    void combine(const cuda::Combine& p) const override { kernels_.combine(p); }
    void combine_backward(const cuda::CombineBackward& p) const override { kernels_.combine_backward(p); }

  private:
    const PrefillKernels& kernels_;
    mutable std::vector<at::Tensor> memory_;  // bytes, canaries included
};

}  // namespace nsa::core::parity
