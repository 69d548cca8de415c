#include "nsa_core/train/trainer.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cmath>
#include <iostream>

#include "nsa_core/device.hpp"
#include "nsa_core/module.hpp"
#include "nsa_core/sdpa_audit.hpp"
#include "nsa_core/tools/torch_device.hpp"
#include "nsa_core/train/adamw.hpp"

namespace nsa::core::train {
namespace {

constexpr std::int64_t kVocabulary = 256;  // every byte is a token
constexpr std::int64_t kMlpFactor = 4;     // hidden width of the MLP, in widths of the residual stream

struct Norm {
    at::Tensor weight;
    at::Tensor bias;

    [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const {
        return at::layer_norm(x, {x.size(-1)}, weight, bias);
    }
};

struct Layer {
    Norm before_attention;
    NSAAttention attention;
    Norm before_mlp;
    at::Tensor widen;   // [kMlpFactor dim, dim]
    at::Tensor narrow;  // [dim, kMlpFactor dim]
};

// Draws weights in fp64 on the CPU and rounds them: the same on every device.
class WeightSource {
  public:
    WeightSource(std::int64_t seed, at::TensorOptions options)
        : generator_{at::detail::createCPUGenerator(static_cast<std::uint64_t>(seed))}, options_{options} {}

    at::Tensor normal(at::IntArrayRef shape, double deviation) {
        const at::Tensor drawn = at::randn(shape, generator_, at::TensorOptions{at::kDouble}) * deviation;
        return leaf(drawn);
    }
    Norm norm(std::int64_t width) {
        return {.weight = leaf(at::ones({width}, at::kDouble)),
                .bias = leaf(at::zeros({width}, at::kDouble))};
    }

  private:
    at::Tensor leaf(const at::Tensor& value) const { return value.to(options_).requires_grad_(true); }

    at::Generator generator_;
    at::TensorOptions options_;
};

}  // namespace

struct Trainer::Impl {
    Impl(const NsaConfig& config, const TrainSmokeOptions& options, const RoutePolicy& policy,
         at::Device device);

    [[nodiscard]] at::Tensor logits(const at::Tensor& inputs);
    [[nodiscard]] std::vector<at::Tensor> leaves() const;
    void synchronize() const;

    at::Device device;
    std::int64_t batch;
    double loss_scale;  // 1 except for fp16
    SdpaAudit audit{std::cerr};
    at::Tensor embedding;  // [kVocabulary, dim]
    std::vector<Layer> layers;
    Norm before_head;
    at::Tensor head;  // [kVocabulary, dim]
    std::vector<std::pair<Branch, RouteChoice>> routes;
    std::unique_ptr<AdamW> optimizer;
};

Trainer::Impl::Impl(const NsaConfig& config, const TrainSmokeOptions& options, const RoutePolicy& policy,
                    at::Device where)
    : device{where}, batch{options.batch}, loss_scale{options.dtype == DType::kFp16 ? 4096.0 : 1.0} {
    const auto tensor_options = at::TensorOptions{scalar_type(options.dtype)}.device(device);
    const std::int64_t dim = config.dim;
    const double into_dim = 1 / std::sqrt(static_cast<double>(dim));
    WeightSource source{options.seed, tensor_options};
    embedding = source.normal({kVocabulary, dim}, 0.02);
    for (std::int64_t i = 0; i < options.layers; ++i) {
        // Every layer draws from a seed of its own.
        NSAAttention attention{config, tensor_options, static_cast<std::uint64_t>(options.seed + i), policy};
        if (policy.sdpa_audit) attention.set_audit(&audit);
        layers.push_back({.before_attention = source.norm(dim),
                          .attention = std::move(attention),
                          .before_mlp = source.norm(dim),
                          .widen = source.normal({kMlpFactor * dim, dim}, into_dim),
                          .narrow = source.normal({dim, kMlpFactor * dim}, into_dim / 2)});
    }
    before_head = source.norm(dim);
    head = source.normal({kVocabulary, dim}, 0.02);  // small: the first loss is that of guessing, ln 256
    optimizer = std::make_unique<AdamW>(leaves(), options.lr);
}

std::vector<at::Tensor> Trainer::Impl::leaves() const {
    std::vector<at::Tensor> all{embedding, before_head.weight, before_head.bias, head};
    for (const Layer& layer : layers) {
        for (const NamedTensor& parameter : layer.attention.parameters())
            all.push_back(parameter.tensor);
        all.insert(all.end(), {layer.before_attention.weight, layer.before_attention.bias,
                               layer.before_mlp.weight, layer.before_mlp.bias, layer.widen, layer.narrow});
    }
    return all;
}

at::Tensor Trainer::Impl::logits(const at::Tensor& inputs) {
    at::Tensor x = at::embedding(embedding, inputs);
    for (const Layer& layer : layers) {
        const PrefillResult attended = layer.attention.prefill(layer.before_attention(x));
        x = x + attended.out;
        x = x + at::linear(at::gelu(at::linear(layer.before_mlp(x), layer.widen)), layer.narrow);
        routes = {{Branch::kCompressed, attended.routes.cmp},
                  {Branch::kSelected, attended.routes.sel},
                  {Branch::kSliding, attended.routes.win}};
    }
    return at::linear(before_head(x), head);
}

void Trainer::Impl::synchronize() const {
    if (!device.is_cpu()) c10::impl::VirtualGuardImpl{device.type()}.synchronizeDevice(device.index());
}

Trainer::Trainer(const NsaConfig& config, const TrainSmokeOptions& options, const RoutePolicy& policy,
                 tools::DeviceKind device)
    : impl_{std::make_unique<Impl>(config, options, policy, tools::torch_device(device))} {}
Trainer::~Trainer() = default;
Trainer::Trainer(Trainer&&) noexcept = default;
Trainer& Trainer::operator=(Trainer&&) noexcept = default;

StepReport Trainer::step(const std::vector<std::int64_t>& tokens) {
    Impl& self = *impl_;
    const at::Tensor windows = at::tensor(tokens, at::kLong).view({self.batch, -1}).to(self.device);
    const std::int64_t seq = windows.size(1) - 1;
    const at::Tensor inputs = windows.narrow(1, 0, seq);
    const at::Tensor targets = windows.narrow(1, 1, seq);

    const at::Tensor logits = self.logits(inputs).flatten(0, 1);
    const bool wide = logits.scalar_type() == at::kDouble;
    const at::Tensor loss = at::cross_entropy_loss(wide ? logits : logits.to(at::kFloat), targets.flatten());
    (loss * self.loss_scale).backward();

    StepReport report{.loss = loss.item<double>(), .grad_norm = self.optimizer->grad_norm(self.loss_scale)};
    report.overflowed = self.loss_scale > 1 && std::isfinite(report.loss) && !std::isfinite(report.grad_norm);
    if (report.overflowed) {
        self.loss_scale /= 2;
    } else {
        self.optimizer->update(self.loss_scale);
    }
    self.optimizer->forget_gradients();
    self.synchronize();
    return report;
}

std::int64_t Trainer::parameter_count() const {
    std::int64_t count = 0;
    for (const at::Tensor& leaf : impl_->leaves())
        count += leaf.numel();
    return count;
}

const std::vector<std::pair<Branch, RouteChoice>>& Trainer::routes() const {
    return impl_->routes;
}

tools::AuditCounts Trainer::audit() const {
    return {impl_->audit.calls(), impl_->audit.misaligned_calls(), impl_->audit.nan_rows()};
}

}  // namespace nsa::core::train
