#include "nsa_core/routes/captured.hpp"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "nsa_core/routes/cuda_check.hpp"

namespace nsa::core {
namespace {

// Work that throws leaves the stream under capture: it is taken out of it, whatever that says.
void capture(at::cuda::CUDAGraph& graph, const std::function<void()>& work) {
    graph.capture_begin();
    try {
        work();
    } catch (...) {
        try {
            graph.capture_end();
        } catch (const c10::Error&) {
        }
        throw;
    }
    graph.capture_end();
}

}  // namespace

struct Captured::Impl {
    at::cuda::CUDAGraph graph{/*keep_graph=*/true};  // its nodes are counted
    std::size_t nodes = 0;
};

Captured::Captured(const std::function<void()>& work, int eager_runs) : impl_{std::make_unique<Impl>()} {
    check_cuda(cudaDeviceSynchronize(), "work before the capture");
    {
        const c10::cuda::CUDAStreamGuard aside{c10::cuda::getStreamFromPool()};
        for (int i = 0; i < eager_runs; ++i)
            work();
        check_cuda(cudaStreamSynchronize(c10::cuda::getCurrentCUDAStream()), "the work to be captured");
        capture(impl_->graph, work);
    }
    check_cuda(cudaGraphGetNodes(impl_->graph.raw_cuda_graph(), nullptr, &impl_->nodes),
               "the nodes of a graph");
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
