#include "nsa_core/routes/captured.hpp"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

namespace nsa::core {
namespace {

constexpr int kEagerRuns = 3;

void check(cudaError_t error, const char* what) {
    TORCH_CHECK(error == cudaSuccess, what, ": ", cudaGetErrorString(error));
}

}  // namespace

struct Captured::Impl {
    at::cuda::CUDAGraph graph{/*keep_graph=*/true};  // its nodes are counted
    std::size_t nodes = 0;
};

Captured::Captured(const std::function<void()>& work) : impl_{std::make_unique<Impl>()} {
    check(cudaDeviceSynchronize(), "work before the capture");
    {
        const c10::cuda::CUDAStreamGuard aside{c10::cuda::getStreamFromPool()};
        for (int i = 0; i < kEagerRuns; ++i)
            work();
        check(cudaStreamSynchronize(c10::cuda::getCurrentCUDAStream()), "the work to be captured");
        impl_->graph.capture_begin();
        work();
        impl_->graph.capture_end();
    }
    check(cudaGraphGetNodes(impl_->graph.raw_cuda_graph(), nullptr, &impl_->nodes), "the nodes of a graph");
    impl_->graph.instantiate();
}

Captured::~Captured() = default;
Captured::Captured(Captured&&) noexcept = default;
Captured& Captured::operator=(Captured&&) noexcept = default;

void Captured::replay() {
    impl_->graph.replay();
}

std::size_t Captured::nodes() const {
    return impl_->nodes;
}

}  // namespace nsa::core
