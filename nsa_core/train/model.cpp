#include "nsa_core/train/model.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <iostream>

#include "nsa_core/gates/measure.hpp"
#include "nsa_core/module.hpp"
#include "nsa_core/sdpa_audit.hpp"

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

struct ByteModel::Impl {
    SdpaAudit audit{std::cerr};
    at::Tensor embedding;  // [kVocabulary, dim]
    std::vector<Layer> layers;
    Norm before_head;
    at::Tensor head;  // [kVocabulary, dim]
    std::vector<std::pair<Branch, RouteChoice>> routes;
    std::vector<at::Tensor> gates;  // of the last pass, by layer, without history
};

ByteModel::ByteModel(const ModelOptions& model, const RoutePolicy& policy, at::TensorOptions options)
    : impl_{std::make_unique<Impl>()} {
    Impl& self = *impl_;
    const std::int64_t dim = model.config.dim;
    const double into_dim = 1 / std::sqrt(static_cast<double>(dim));
    WeightSource source{model.seed, options};
    self.embedding = source.normal({kVocabulary, dim}, 0.02);
    for (std::int64_t i = 0; i < model.layers; ++i) {
        // Every layer draws from a seed of its own.
        NSAAttention attention{model.config, options, static_cast<std::uint64_t>(model.seed + i), policy};
        attention.ask_route(model.route);
        if (policy.sdpa_audit) attention.set_audit(&self.audit);
        self.layers.push_back({.before_attention = source.norm(dim),
                               .attention = std::move(attention),
                               .before_mlp = source.norm(dim),
                               .widen = source.normal({kMlpFactor * dim, dim}, into_dim),
                               .narrow = source.normal({dim, kMlpFactor * dim}, into_dim / 2)});
    }
    self.before_head = source.norm(dim);
    self.head = source.normal({kVocabulary, dim}, 0.02);  // small: the first loss is that of guessing, ln 256
}

ByteModel::~ByteModel() = default;
ByteModel::ByteModel(ByteModel&&) noexcept = default;
ByteModel& ByteModel::operator=(ByteModel&&) noexcept = default;

std::vector<at::Tensor> ByteModel::leaves() const {
    const Impl& self = *impl_;
    std::vector<at::Tensor> all{self.embedding, self.before_head.weight, self.before_head.bias, self.head};
    for (const Layer& layer : self.layers) {
        for (const NamedTensor& parameter : layer.attention.parameters())
            all.push_back(parameter.tensor);
        all.insert(all.end(), {layer.before_attention.weight, layer.before_attention.bias,
                               layer.before_mlp.weight, layer.before_mlp.bias, layer.widen, layer.narrow});
    }
    return all;
}

at::Tensor ByteModel::logits(const at::Tensor& bytes) {
    Impl& self = *impl_;
    self.gates.clear();
    at::Tensor x = at::embedding(self.embedding, bytes);
    for (const Layer& layer : self.layers) {
        const PrefillResult attended = layer.attention.prefill(layer.before_attention(x));
        x = x + attended.out;
        x = x + at::linear(at::gelu(at::linear(layer.before_mlp(x), layer.widen)), layer.narrow);
        self.gates.push_back(attended.gates.detach());
        self.routes = {{Branch::kCompressed, attended.routes.cmp},
                       {Branch::kSelected, attended.routes.sel},
                       {Branch::kSliding, attended.routes.win}};
    }
    return at::linear(self.before_head(x), self.head);
}

const std::vector<std::pair<Branch, RouteChoice>>& ByteModel::routes() const {
    return impl_->routes;
}

std::vector<gates::Statistics> ByteModel::gates() const {
    std::vector<gates::Statistics> all;
    for (const at::Tensor& layer : impl_->gates)
        all.push_back(gates::statistics_of(layer));
    return all;
}

tools::AuditCounts ByteModel::audit() const {
    return {impl_->audit.calls(), impl_->audit.misaligned_calls(), impl_->audit.nan_rows()};
}

}  // namespace nsa::core::train
