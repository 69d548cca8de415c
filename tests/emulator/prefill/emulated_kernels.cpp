#include "emulator/prefill/emulated_kernels.hpp"

#include <stdexcept>
#include <string>

#include "emulator/runtime.hpp"
#include "nsa_core/cuda/compress/compress.hpp"
#include "nsa_core/cuda/prefill/prefill.hpp"
#include "nsa_core/cuda/prefill/selected.hpp"

namespace nsa::prefill_test {
namespace {

namespace cuda = core::cuda;

// Runs what was launched, unless that was refused.
void run(cudaError_t error, const char* what) {
    if (error != cudaSuccess)
        throw std::runtime_error{std::string{what} + ": CUDA error " +
                                 std::to_string(static_cast<int>(error))};
    (void)emulator::finish();
}

class EmulatedKernels final : public core::PrefillKernels {
  public:
    // A small chip, so that short sequences are cut into parts too.
    cuda::DeviceLimits limits() const override {
        return cuda::limits_of(80, 80, 4, cuda::shared_memory_limit(80));
    }

    void mean_pool(const cuda::MeanPool& p) const override {
        run(cuda::launch_mean_pool(p, nullptr), "mean_pool");
    }
    void mean_pool_backward(const cuda::MeanPoolBackward& p) const override {
        run(cuda::launch_mean_pool_backward(p, nullptr), "mean_pool_backward");
    }
    void compress_forward(const cuda::CompressForward& p) const override {
        run(cuda::launch_compress_forward(p, nullptr), "compress_forward");
    }
    void compress_backward(const cuda::CompressBackward& p, const cuda::CompressPlan& plan) const override {
        run(cuda::launch_compress_backward(p, plan, nullptr), "compress_backward");
    }
    void dense_forward(const cuda::DenseForward& p) const override {
        run(cuda::launch_dense_forward(p, nullptr), "dense_forward");
    }
    void dense_backward(const cuda::DenseBackward& p, const cuda::DensePlan& plan) const override {
        run(cuda::launch_dense_backward(p, plan, nullptr), "dense_backward");
    }
    void importance_top_n(const cuda::ImportanceTopN& p) const override {
        run(cuda::launch_importance_top_n(p, nullptr), "importance_top_n");
    }
    void inverse_lists(const cuda::MakeInverseLists& p) const override {
        run(cuda::launch_inverse_lists(p, nullptr), "inverse_lists");
    }
    void selected_forward(const cuda::SelectedForward& p) const override {
        run(cuda::launch_selected_forward(p, cuda::plan_selected_forward(p.shape, limits().shared_bytes),
                                          nullptr),
            "selected_forward");
    }
    void selected_backward(const cuda::SelectedBackward& p) const override {
        run(cuda::launch_selected_dq(p, cuda::plan_selected_dq(p.shape, limits().shared_bytes), nullptr),
            "selected_dq");
        run(cuda::launch_selected_dkdv(p, nullptr), "selected_dkdv");
    }
    void combine(const cuda::Combine& p) const override { run(cuda::launch_combine(p, nullptr), "combine"); }
    void combine_backward(const cuda::CombineBackward& p) const override {
        run(cuda::launch_combine_backward(p, nullptr), "combine_backward");
    }
};

}  // namespace

const core::PrefillKernels& emulated_prefill_kernels() {
    static const EmulatedKernels kernels;
    return kernels;
}

}  // namespace nsa::prefill_test
