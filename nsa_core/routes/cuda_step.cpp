#include "nsa_core/routes/cuda_step.hpp"

#include <ATen/ATen.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <vector>

#include "nsa_core/errors.hpp"
#include "nsa_core/routes/cuda_check.hpp"
#include "nsa_core/routes/step_params.hpp"
#include "nsa_core/src/checks.hpp"

namespace nsa::core {
namespace {

bool same_place(const cuda::StepRows& a, const cuda::StepRows& b) {
    return a.k == b.k && a.v == b.v;
}

void check_out(const at::Tensor& out, const at::Tensor& weight, std::int64_t dim) {
    check_input("one-kernel step's result", out, 2, dim, weight);
    if (out.size(0) != 1 || !out.is_contiguous()) {
        throw InputError("one-kernel step: the result must be one contiguous row, not " +
                         c10::str(out.sizes()));
    }
}

std::optional<cuda::StepTeam> team_for(const cuda::StepShape& shape, const CudaStepOptions& options) {
    if (!options.team) return cuda::choose_step_team(shape);
    if (cuda::step_unsupported(shape, *options.team) || !cuda::step_runs(shape, *options.team))
        return std::nullopt;
    return options.team;
}

}  // namespace

struct CudaStep::Impl {
    DecodeCache& cache;
    std::vector<NamedTensor> parameters;  // keeps the weights alive
    StepBuffers buffers;
    cuda::StepParams params;
    cuda::StepTeam team;
    bool advance;
    std::int64_t device_length = -1;  // what buffers.length holds once all that was sent has run
    cudaGraphExec_t graph = nullptr;

    Impl(const NSAAttention& module, DecodeCache& to, const cuda::StepShape& shape, cuda::StepTeam with,
         const CudaStepOptions& options);
    ~Impl() {
        if (graph != nullptr) (void)cudaGraphExecDestroy(graph);
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void capture();
    void send_length();
    void check_step(const at::Tensor& token) const;
};

CudaStep::Impl::Impl(const NSAAttention& module, DecodeCache& to, const cuda::StepShape& shape,
                     cuda::StepTeam with, const CudaStepOptions& options)
    : cache(to),
      parameters(module.parameters()),
      buffers(module, static_cast<std::int64_t>(cuda::step_workspace_bytes(shape, with)), options.out,
              options.clocks),
      params(step_params(module, cache, shape, buffers, options.advance)),
      team(with),
      advance(options.advance) {
    check_cuda(cuda::prepare_step(shape, team), "preparing the one-kernel step");
    if (options.graph) capture();
}

void CudaStep::Impl::capture() {
    // A stream of its own: the legacy default stream, which may be the current one, cannot be captured.
    const c10::cuda::CUDAStream stream = c10::cuda::getStreamFromPool(false, buffers.x.device().index());
    cudaGraph_t captured = nullptr;
    check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal),
               "beginning a graph of the step");
    const cudaError_t launched = cuda::launch_step(params, team, stream);
    const cudaError_t ended = cudaStreamEndCapture(stream, &captured);
    check_cuda(launched, "capturing the step");
    check_cuda(ended, "ending a graph of the step");
    const cudaError_t made = cudaGraphInstantiate(&graph, captured, 0);
    (void)cudaGraphDestroy(captured);
    check_cuda(made, "making a graph of the step");
}

// The kernel counts on by itself; only when the cache was changed by other means must it be told.
void CudaStep::Impl::send_length() {
    if (device_length == cache.length()) return;
    buffers.length.fill_(cache.length());
    device_length = cache.length();
}

void CudaStep::Impl::check_step(const at::Tensor& token) const {
    check_input("one-kernel step", token, 2, params.shape.dim, parameters.front().tensor);
    if (token.size(0) != 1 || !token.is_contiguous()) {
        throw InputError("one-kernel step: the input must be one contiguous row, not " +
                         c10::str(token.sizes()));
    }
    if (reinterpret_cast<std::uintptr_t>(token.const_data_ptr()) % 16 != 0) {
        throw InputError("one-kernel step: the input must begin at a multiple of 16 bytes");
    }
    if (cache.length() >= params.shape.capacity) {
        throw InputError("one-kernel step: the cache holds " + std::to_string(cache.length()) +
                         " tokens, all that the step was made for; make one with a larger capacity");
    }
    if (!same_place(params.raw, step_rows(cache.raw())) || !same_place(params.cmp, step_rows(cache.cmp())) ||
        !same_place(params.sel, step_rows(cache.sel())) || !same_place(params.win, step_rows(cache.win()))) {
        throw InputError(
            "one-kernel step: the cache has grown and moved since the step was made; make a new one");
    }
}

std::optional<std::string> CudaStep::unsupported_reason(const NSAAttention& module, std::int64_t capacity) {
    const at::Tensor& weight = parameter(module, "wq");
    if (!weight.is_cuda() || weight.scalar_type() != at::kFloat) {
        return std::string{"the kernel runs on CUDA devices in fp32, and the layer is "} +
               c10::toString(weight.scalar_type()) + " on " + weight.device().str();
    }
    const cuda::StepShape shape = step_shape(module.config(), capacity);
    const c10::cuda::CUDAGuard on_device{weight.device()};
    if (cuda::choose_step_team(shape)) return std::nullopt;
    if (auto reason = cuda::step_unsupported(shape, cuda::StepTeam::kGrid)) return reason;
    int shared_bytes = 0;
    check_cuda(cudaDeviceGetAttribute(&shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin,
                                      weight.device().index()),
               "the shared memory of the device");
    if (auto reason = cuda::step_unsupported(shape, cuda::StepTeam::kGrid, shared_bytes)) return reason;
    return "the device runs neither clusters of 8 thread blocks nor cooperative launches of 16";
}

CudaStep::CudaStep(const NSAAttention& module, DecodeCache& cache, std::int64_t capacity,
                   CudaStepOptions options) {
    if (const auto reason = unsupported_reason(module, capacity))
        throw InputError("one-kernel step: " + *reason);
    check_step_cache(module, cache);
    const c10::cuda::CUDAGuard on_device{parameter(module, "wq").device()};
    const cuda::StepShape shape = step_shape(module.config(), capacity);
    const std::optional<cuda::StepTeam> team = team_for(shape, options);
    if (!team) throw InputError("one-kernel step: the team asked for does not run this shape on this device");
    if (options.out.defined()) check_out(options.out, parameter(module, "wq"), shape.dim);
    cache.reserve(capacity);
    impl_ = std::make_unique<Impl>(module, cache, shape, *team, options);
}

CudaStep::~CudaStep() = default;
CudaStep::CudaStep(CudaStep&&) noexcept = default;
CudaStep& CudaStep::operator=(CudaStep&&) noexcept = default;

at::Tensor CudaStep::step(const at::Tensor& token) {
    Impl& m = *impl_;
    m.check_step(token);
    const c10::cuda::CUDAGuard on_device{m.buffers.x.device()};
    const cudaStream_t stream = c10::cuda::getCurrentCUDAStream(m.buffers.x.device().index());
    m.send_length();
    if (m.graph != nullptr) {
        if (token.const_data_ptr() != m.buffers.x.const_data_ptr()) m.buffers.x.copy_(token);
        check_cuda(cudaGraphLaunch(m.graph, stream), "the one-kernel step");
    } else {
        m.params.x = token.const_data_ptr<float>();
        check_cuda(cuda::launch_step(m.params, m.team, stream), "the one-kernel step");
    }
    if (m.advance) {
        m.cache.extend_to(m.cache.length() + 1);
        m.device_length = m.cache.length();
    }
    return m.buffers.out;
}

at::Tensor CudaStep::input() const {
    return impl_->buffers.x;
}
at::Tensor CudaStep::reads() const {
    return impl_->buffers.reads;
}
at::Tensor CudaStep::blocks() const {
    return impl_->buffers.blocks;
}

at::Tensor CudaStep::clocks() const {
    return impl_->buffers.clocks;
}

std::string CudaStep::team_text() const {
    switch (impl_->team) {
        case cuda::StepTeam::kCluster16:
            return "cluster of 16";
        case cuda::StepTeam::kCluster8:
            return "cluster of 8";
        case cuda::StepTeam::kGrid:
            return "grid of 16";
    }
    return {};
}

}  // namespace nsa::core
