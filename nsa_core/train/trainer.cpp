#include "nsa_core/train/trainer.hpp"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cmath>

#include "nsa_core/device.hpp"
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

    // Forward and backward of one micro-batch; its gradients add to those before. The loss, not divided.
    [[nodiscard]] at::Tensor accumulate(const std::vector<std::int64_t>& tokens, double weight);
    void synchronize() const;
};

namespace {

ByteModel make_model(const NsaConfig& config, const TrainSmokeOptions& o, const RoutePolicy& policy,
                     at::Device device) {
    return {{.config = config, .layers = o.layers, .seed = o.seed, .route = o.route},
            policy,
            at::TensorOptions{scalar_type(o.dtype)}.device(device)};
}

}  // namespace

at::Tensor Trainer::Impl::accumulate(const std::vector<std::int64_t>& tokens, double weight) {
    const at::Tensor windows = at::tensor(tokens, at::kLong).view({batch, -1}).to(device);
    const std::int64_t seq = windows.size(1) - 1;
    const at::Tensor inputs = windows.narrow(1, 0, seq);
    const at::Tensor targets = windows.narrow(1, 1, seq);
    const at::Tensor logits = model.logits(inputs).flatten(0, 1);
    const bool wide = logits.scalar_type() == at::kDouble;
    const at::Tensor loss = at::cross_entropy_loss(wide ? logits : logits.to(at::kFloat), targets.flatten());
    (loss * (loss_scale * weight)).backward();
    return loss.detach();
}

void Trainer::Impl::synchronize() const {
    if (!device.is_cpu()) c10::impl::VirtualGuardImpl{device.type()}.synchronizeDevice(device.index());
}

Trainer::Trainer(const NsaConfig& config, const TrainSmokeOptions& options, const RoutePolicy& policy,
                 tools::DeviceKind device) {
    const at::Device where = tools::torch_device(device);
    ByteModel model = make_model(config, options, policy, where);
    AdamW optimizer{model.leaves(), options.lr};
    impl_ = std::make_unique<Impl>(Impl{.device = where,
                                        .batch = options.batch,
                                        .loss_scale = options.dtype == DType::kFp16 ? 4096.0 : 1.0,
                                        .model = std::move(model),
                                        .optimizer = std::move(optimizer)});
}
Trainer::~Trainer() = default;
Trainer::Trainer(Trainer&&) noexcept = default;
Trainer& Trainer::operator=(Trainer&&) noexcept = default;

StepReport Trainer::step(const std::vector<std::vector<std::int64_t>>& micro_batches) {
    Impl& self = *impl_;
    const double weight = 1 / static_cast<double>(micro_batches.size());
    std::vector<at::Tensor> losses;
    for (const std::vector<std::int64_t>& tokens : micro_batches)
        losses.push_back(self.accumulate(tokens, weight));

    StepReport report{.loss = at::stack(losses).mean().item<double>(),
                      .grad_norm = self.optimizer.grad_norm(self.loss_scale)};
    report.overflowed = self.loss_scale > 1 && std::isfinite(report.loss) && !std::isfinite(report.grad_norm);
    if (report.overflowed) {
        self.loss_scale /= 2;
    } else {
        self.optimizer.update(self.loss_scale);
    }
    self.optimizer.forget_gradients();
    self.synchronize();
    return report;
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
