#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <array>
#include <memory>
#include <mutex>

#include "nsa_core/cuda/compress/compress.hpp"
#include "nsa_core/cuda/device.hpp"
#include "nsa_core/cuda/prefill/prefill.hpp"
#include "nsa_core/cuda/prefill/selected.hpp"
#include "nsa_core/routes/cuda_check.hpp"
#include "nsa_core/routes/prefill_kernels.hpp"

namespace nsa::core {
namespace {

class CudaPrefillKernels final : public PrefillKernels {
  public:
    explicit CudaPrefillKernels(c10::Device device) : device_{device} {
        check_cuda(cuda::device_limits(device.index(), limits_), "the limits of the device");
    }

    cuda::DeviceLimits limits() const override { return limits_; }

    void mean_pool(const cuda::MeanPool& p) const override {
        launch("mean pooling", [&](cudaStream_t stream) { return cuda::launch_mean_pool(p, stream); });
    }
    void mean_pool_backward(const cuda::MeanPoolBackward& p) const override {
        launch("mean pooling, backward",
               [&](cudaStream_t stream) { return cuda::launch_mean_pool_backward(p, stream); });
    }
    void compress_forward(const cuda::CompressForward& p) const override {
        launch("learnable compression",
               [&](cudaStream_t stream) { return cuda::launch_compress_forward(p, stream); });
    }
    void compress_backward(const cuda::CompressBackward& p, const cuda::CompressPlan& plan) const override {
        launch("learnable compression, backward",
               [&](cudaStream_t stream) { return cuda::launch_compress_backward(p, plan, stream); });
    }
    void dense_forward(const cuda::DenseForward& p) const override {
        launch("a dense branch", [&](cudaStream_t stream) { return cuda::launch_dense_forward(p, stream); });
    }
    void dense_backward(const cuda::DenseBackward& p, const cuda::DensePlan& plan) const override {
        launch("a dense branch, backward",
               [&](cudaStream_t stream) { return cuda::launch_dense_backward(p, plan, stream); });
    }
    void importance_top_n(const cuda::ImportanceTopN& p) const override {
        launch("importance and top-n",
               [&](cudaStream_t stream) { return cuda::launch_importance_top_n(p, stream); });
    }
    void inverse_lists(const cuda::MakeInverseLists& p) const override {
        launch("lists of tokens by block",
               [&](cudaStream_t stream) { return cuda::launch_inverse_lists(p, stream); });
    }
    void selected_forward(const cuda::SelectedForward& p) const override {
        launch("the selected branch", [&](cudaStream_t stream) {
            return cuda::launch_selected_forward(
                p, cuda::plan_selected_forward(p.shape, limits_.shared_bytes), stream);
        });
    }
    void selected_backward(const cuda::SelectedBackward& p) const override {
        launch("the selected branch, dQ", [&](cudaStream_t stream) {
            return cuda::launch_selected_dq(p, cuda::plan_selected_dq(p.shape, limits_.shared_bytes), stream);
        });
        launch("the selected branch, dK and dV",
               [&](cudaStream_t stream) { return cuda::launch_selected_dkdv(p, stream); });
    }
    void combine(const cuda::Combine& p) const override {
        launch("the gated sum", [&](cudaStream_t stream) { return cuda::launch_combine(p, stream); });
    }
    void combine_backward(const cuda::CombineBackward& p) const override {
        launch("the gated sum, backward",
               [&](cudaStream_t stream) { return cuda::launch_combine_backward(p, stream); });
    }

  private:
    // On the current stream of the device, which autograd has set to that of the forward.
    template <class Launch>
    void launch(const char* what, const Launch& start) const {
        const c10::cuda::CUDAGuard on_device{device_};
        check_cuda(start(c10::cuda::getCurrentCUDAStream(device_.index())), what);
    }

    c10::Device device_;
    cuda::DeviceLimits limits_;
};

}  // namespace

const PrefillKernels& cuda_prefill_kernels(c10::Device device) {
    static std::mutex mutex;
    static std::array<std::unique_ptr<CudaPrefillKernels>, C10_COMPILE_TIME_MAX_GPUS> by_device;
    const std::lock_guard lock{mutex};
    std::unique_ptr<CudaPrefillKernels>& kernels = by_device.at(static_cast<std::size_t>(device.index()));
    if (!kernels) kernels = std::make_unique<CudaPrefillKernels>(device);
    return *kernels;
}

}  // namespace nsa::core
