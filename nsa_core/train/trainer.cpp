#include "nsa_core/train/trainer.hpp"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cmath>
#include <optional>

#include "nsa_core/device.hpp"
#include "nsa_core/routes/captured.hpp"
#include "nsa_core/routes/cuda_decode.hpp"
#include "nsa_core/tools/torch_device.hpp"
#include "nsa_core/train/adamw.hpp"
#include "nsa_core/train/model.hpp"

namespace nsa::core::train {

struct Trainer::Impl {
    at::Device device;
    std::int64_t batch;
    double loss_scale;  // 1 except for fp16
    ByteModel model;
    AdamW optimizer;
    GraphRequest graph_request;  // its routes are those of the steps
    at::Tensor windows = {};     // [micro-batches, batch, seq + 1] on the device, those of the step
    at::Tensor loss = {};        // scalars of the step on the device
    at::Tensor grad_norm = {};
    int eager_steps = 0;
    std::optional<Captured> graph = {};
    std::string why_eager = "the first steps are";

    void load(const std::vector<std::vector<std::int64_t>>& micro_batches);
    // Forward and backward of all micro-batches; the mean loss, not scaled.
    [[nodiscard]] at::Tensor forward_backward();
    // The device work of a step without loss scale. Reads nothing on the host: may be captured.
    void run();
    void run_scaled(StepReport& report);
    void try_capture();
};

namespace {

ByteModel make_model(const NsaConfig& config, const TrainSmokeOptions& o, const RoutePolicy& policy,
                     at::Device device) {
    return {{.config = config, .layers = o.layers, .seed = o.seed, .route = o.route},
            policy,
            at::TensorOptions{scalar_type(o.dtype)}.device(device)};
}

}  // namespace

void Trainer::Impl::load(const std::vector<std::vector<std::int64_t>>& micro_batches) {
    std::vector<at::Tensor> rows;
    for (const std::vector<std::int64_t>& tokens : micro_batches)
        rows.push_back(at::tensor(tokens, at::kLong).view({batch, -1}));
    const at::Tensor all = at::stack(rows);
    if (!windows.defined()) windows = at::empty_like(all, all.options().device(device));
    windows.copy_(all);
}

at::Tensor Trainer::Impl::forward_backward() {
    const std::int64_t count = windows.size(0);
    const std::int64_t seq = windows.size(2) - 1;
    std::vector<at::Tensor> losses;
    for (std::int64_t i = 0; i < count; ++i) {
        const at::Tensor inputs = windows[i].narrow(1, 0, seq);
        const at::Tensor targets = windows[i].narrow(1, 1, seq);
        const at::Tensor logits = model.logits(inputs).flatten(0, 1);
        const bool wide = logits.scalar_type() == at::kDouble;
        const at::Tensor mean =
            at::cross_entropy_loss(wide ? logits : logits.to(at::kFloat), targets.flatten());
        (mean * (loss_scale / static_cast<double>(count))).backward();
        losses.push_back(mean.detach());
    }
    return at::stack(losses).mean();
}

void Trainer::Impl::run() {
    loss.copy_(forward_backward());
    grad_norm.copy_(optimizer.grad_norm());
    optimizer.update(1);
    optimizer.forget_gradients();
}

void Trainer::Impl::run_scaled(StepReport& report) {
    report.loss = forward_backward().item<double>();
    report.grad_norm = optimizer.grad_norm(loss_scale);
    report.overflowed = loss_scale > 1 && std::isfinite(report.loss) && !std::isfinite(report.grad_norm);
    if (report.overflowed) {
        loss_scale /= 2;
    } else {
        optimizer.update(loss_scale);
    }
    optimizer.forget_gradients();
}

void Trainer::Impl::try_capture() {
    graph_request.routes = model.routes();
    if (const auto reason = train::why_eager(graph_request)) {
        why_eager = *reason;
        return;
    }
    try {
        graph.emplace([this] { run(); }, /*eager_runs=*/0);
    } catch (const c10::Error& error) {
        why_eager = "the capture failed: " + std::string{error.what_without_backtrace()};
        optimizer.forget_gradients();
    }
}

std::optional<std::string> step_fault(const StepReport& report, std::int64_t step) {
    const std::string where = " at step " + std::to_string(step);
    if (!std::isfinite(report.loss)) return "the loss is " + std::to_string(report.loss) + where;
    if (!std::isfinite(report.grad_norm) && !report.overflowed)
        return "the gradient norm is " + std::to_string(report.grad_norm) + where;
    return std::nullopt;
}

Trainer::Trainer(const NsaConfig& config, const TrainSmokeOptions& options, const RoutePolicy& policy,
                 tools::DeviceKind device) {
    const at::Device where = tools::torch_device(device);
    ByteModel model = make_model(config, options, policy, where);
    AdamW optimizer{model.leaves(), options.lr};
    const bool half = options.dtype == DType::kFp16;
    impl_ = std::make_unique<Impl>(Impl{.device = where,
                                        .batch = options.batch,
                                        .loss_scale = half ? 4096.0 : 1.0,
                                        .model = std::move(model),
                                        .optimizer = std::move(optimizer),
                                        .graph_request = {.flag = options.graph,
                                                          .device = device,
                                                          .dtype = options.dtype,
                                                          .kernels = kernels_built(),
                                                          .sdpa_audit = policy.sdpa_audit,
                                                          .routes = {}}});
    impl_->loss = at::zeros({}, at::TensorOptions{at::kDouble}.device(where));
    impl_->grad_norm = at::zeros_like(impl_->loss);
}
Trainer::~Trainer() = default;
Trainer::Trainer(Trainer&&) noexcept = default;
Trainer& Trainer::operator=(Trainer&&) noexcept = default;

StepReport Trainer::step(const std::vector<std::vector<std::int64_t>>& micro_batches) {
    constexpr int kEagerSteps = 2;  // libraries set themselves up in their first calls
    Impl& self = *impl_;
    self.load(micro_batches);
    if (self.eager_steps == kEagerSteps) self.try_capture();
    ++self.eager_steps;
    StepReport report;
    if (self.graph_request.dtype == DType::kFp16) {
        self.run_scaled(report);
    } else {
        self.graph ? self.graph->replay() : self.run();
        report.loss = self.loss.item<double>();
        report.grad_norm = self.grad_norm.item<double>();
    }
    if (!self.device.is_cpu()) {
        c10::impl::VirtualGuardImpl{self.device.type()}.synchronizeDevice(self.device.index());
    }
    return report;
}

bool Trainer::captured() const {
    return impl_->graph.has_value();
}

std::string Trainer::graph() const {
    const Impl& self = *impl_;
    return self.graph ? "captured, " + std::to_string(self.graph->nodes()) + " nodes"
                      : "eager: " + self.why_eager;
}

ByteModel& Trainer::model() {
    return impl_->model;
}

std::int64_t Trainer::parameter_count() const {
    std::int64_t count = 0;
    for (const at::Tensor& leaf : impl_->model.leaves())
        count += leaf.numel();
    return count;
}

const std::vector<std::pair<Branch, RouteChoice>>& Trainer::routes() const {
    return impl_->model.routes();
}

gates::Statistics Trainer::gates() const {
    return gates::mean_of(impl_->model.gates());
}

tools::AuditCounts Trainer::audit() const {
    return impl_->model.audit();
}

}  // namespace nsa::core::train
