#include "nsa_core/routes/cuda_step.hpp"

#include <ATen/ATen.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "nsa_core/errors.hpp"
#include "nsa_core/src/checks.hpp"

namespace nsa::core {
namespace {

int narrow_int(std::int64_t value) {
    return static_cast<int>(std::min<std::int64_t>(value, std::numeric_limits<int>::max()));
}

cuda::StepShape shape_of(const NsaConfig& c, std::int64_t capacity) {
    return {.dim = narrow_int(c.dim),
            .heads = narrow_int(c.heads),
            .groups = narrow_int(c.groups),
            .dk = narrow_int(c.dk),
            .dv = narrow_int(c.dv),
            .l = narrow_int(c.l),
            .d = narrow_int(c.d),
            .l_sel = narrow_int(c.l_sel),
            .n = narrow_int(c.n),
            .n_initial = narrow_int(c.n_initial),
            .n_local = narrow_int(c.n_local),
            .w = narrow_int(c.w),
            .gate_hidden = narrow_int(c.gate_hidden),
            .capacity = narrow_int(capacity),
            .learnable_compressor = c.compressor == Compressor::kMlp,
            .rope = c.rope,
            .softmax_gate = c.gate == GateKind::kSoftmax};
}

void check(cudaError_t error, const char* what) {
    TORCH_CHECK(error == cudaSuccess, what, ": ", cudaGetErrorString(error));
}

const at::Tensor& parameter(const NSAAttention& module, std::string_view name) {
    for (const NamedTensor& entry : module.parameters()) {
        if (entry.name == name) return entry.tensor;
    }
    throw std::logic_error{"the layer has no parameter " + std::string{name}};
}

cuda::StepRows rows_of(KeyValueBuffers& buffers) {
    const at::Tensor& k = buffers.k.storage();
    const at::Tensor& v = buffers.v.storage();
    return {.k = k.mutable_data_ptr<float>(),
            .v = v.mutable_data_ptr<float>(),
            .group_stride_k = k.stride(1),
            .group_stride_v = v.stride(1)};
}

bool same_place(const cuda::StepRows& a, const cuda::StepRows& b) {
    return a.k == b.k && a.v == b.v;
}

// Rotary frequencies in half turns per position, as rope.cpp has them in radians.
at::Tensor half_turns(const NsaConfig& c, at::Device device) {
    if (!c.rope) return {};
    const at::TensorOptions exact = at::TensorOptions{}.dtype(at::kDouble);
    const at::Tensor exponent = at::arange(c.dk / 2, exact).mul(-2.0 / static_cast<double>(c.dk));
    return at::pow(c.rope_base, exponent).div(std::numbers::pi).to(device);
}

cuda::StepWeights weights_of(const NSAAttention& module, const at::Tensor& turns) {
    const auto data = [&](std::string_view name) { return parameter(module, name).const_data_ptr<float>(); };
    return {.q = data("wq"),
            .rows = {data("wk_cmp"), data("wv_cmp"), data("wk_sel"), data("wv_sel"), data("wk_win"),
                     data("wv_win")},
            .gate_w1 = data("gate_w1"),
            .gate_b1 = data("gate_b1"),
            .gate_w2 = data("gate_w2"),
            .gate_b2 = data("gate_b2"),
            .out = data("wo"),
            .half_turns = turns.defined() ? turns.const_data_ptr<double>() : nullptr};
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
    at::Tensor turns;
    at::Tensor x;       // [1,dim]
    at::Tensor out;     // [1,dim]
    at::Tensor reads;   // [G,3]
    at::Tensor blocks;  // [G,n]
    at::Tensor clocks;  // [kStepClocks] or undefined
    at::Tensor length;  // [1] tokens in the cache as the kernel sees it
    at::Tensor workspace;
    cuda::StepParams params;
    cuda::StepTeam team;
    bool advance;
    std::int64_t device_length = -1;  // what `length` holds once all that was sent has run
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
    : cache(to), parameters(module.parameters()), team(with), advance(options.advance) {
    const NsaConfig& c = module.config();
    const at::TensorOptions floats = parameter(module, "wq").options().requires_grad(false);
    const at::TensorOptions ints = floats.dtype(at::kInt);
    turns = half_turns(c, floats.device());
    x = at::zeros({1, c.dim}, floats);
    out = options.out.defined() ? options.out : at::zeros({1, c.dim}, floats);
    reads = at::zeros({c.groups, 3}, ints);
    blocks = at::zeros({c.groups, c.n}, ints);
    if (options.clocks) clocks = at::zeros({cuda::kStepClocks}, floats.dtype(at::kLong));
    length = at::zeros({1}, ints);
    workspace = at::zeros({static_cast<std::int64_t>(cuda::step_workspace_bytes(shape, team))},
                          floats.dtype(at::kByte));
    const std::optional<Branch> forced = module.policy().force_branch;
    params = {.shape = shape,
              .weights = weights_of(module, turns),
              .raw = rows_of(cache.raw()),
              .cmp = rows_of(cache.cmp()),
              .sel = rows_of(cache.sel()),
              .win = rows_of(cache.win()),
              .length = length.mutable_data_ptr<int>(),
              .x = x.const_data_ptr<float>(),
              .out = out.mutable_data_ptr<float>(),
              .reads = reads.mutable_data_ptr<int>(),
              .blocks = blocks.mutable_data_ptr<int>(),
              .workspace = workspace.mutable_data_ptr(),
              .scale = static_cast<float>(c.scale()),
              .forced_branch = forced ? static_cast<int>(*forced) : -1,
              .advance = advance,
              .clocks = clocks.defined()
                            ? reinterpret_cast<long long*>(clocks.mutable_data_ptr<std::int64_t>())
                            : nullptr};
    check(cuda::prepare_step(shape, team), "preparing the one-kernel step");
    if (options.graph) capture();
}

void CudaStep::Impl::capture() {
    // A stream of its own: the legacy default stream, which may be the current one, cannot be captured.
    const c10::cuda::CUDAStream stream = c10::cuda::getStreamFromPool(false, x.device().index());
    cudaGraph_t captured = nullptr;
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "beginning a graph of the step");
    const cudaError_t launched = cuda::launch_step(params, team, stream);
    const cudaError_t ended = cudaStreamEndCapture(stream, &captured);
    check(launched, "capturing the step");
    check(ended, "ending a graph of the step");
    const cudaError_t made = cudaGraphInstantiate(&graph, captured, 0);
    (void)cudaGraphDestroy(captured);
    check(made, "making a graph of the step");
}

// The kernel counts on by itself; only when the cache was changed by other means must it be told.
void CudaStep::Impl::send_length() {
    if (device_length == cache.length()) return;
    length.fill_(cache.length());
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
    if (!same_place(params.raw, rows_of(cache.raw())) || !same_place(params.cmp, rows_of(cache.cmp())) ||
        !same_place(params.sel, rows_of(cache.sel())) || !same_place(params.win, rows_of(cache.win()))) {
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
    const cuda::StepShape shape = shape_of(module.config(), capacity);
    const c10::cuda::CUDAGuard on_device{weight.device()};
    if (cuda::choose_step_team(shape)) return std::nullopt;
    if (auto reason = cuda::step_unsupported(shape, cuda::StepTeam::kGrid)) return reason;
    return "the device runs neither clusters of 8 thread blocks nor cooperative launches of 16";
}

CudaStep::CudaStep(const NSAAttention& module, DecodeCache& cache, std::int64_t capacity,
                   CudaStepOptions options) {
    if (const auto reason = unsupported_reason(module, capacity))
        throw InputError("one-kernel step: " + *reason);
    if (cache.batch() != 1) {
        throw InputError("one-kernel step: it serves one sequence, and the cache holds " +
                         std::to_string(cache.batch()));
    }
    const c10::cuda::CUDAGuard on_device{parameter(module, "wq").device()};
    const cuda::StepShape shape = shape_of(module.config(), capacity);
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
    const c10::cuda::CUDAGuard on_device{m.x.device()};
    const cudaStream_t stream = c10::cuda::getCurrentCUDAStream(m.x.device().index());
    m.send_length();
    if (m.graph != nullptr) {
        if (token.const_data_ptr() != m.x.const_data_ptr()) m.x.copy_(token);
        check(cudaGraphLaunch(m.graph, stream), "the one-kernel step");
    } else {
        m.params.x = token.const_data_ptr<float>();
        check(cuda::launch_step(m.params, m.team, stream), "the one-kernel step");
    }
    if (m.advance) {
        m.cache.extend_to(m.cache.length() + 1);
        m.device_length = m.cache.length();
    }
    return m.out;
}

at::Tensor CudaStep::input() const {
    return impl_->x;
}
at::Tensor CudaStep::reads() const {
    return impl_->reads;
}
at::Tensor CudaStep::blocks() const {
    return impl_->blocks;
}

at::Tensor CudaStep::clocks() const {
    return impl_->clocks;
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
