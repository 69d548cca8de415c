#include "nsa_core/train/adamw.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>

namespace nsa::core::train {
namespace {

constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.95;  // shorter memory than the usual 0.999: a smoke test has few steps
constexpr double kEpsilon = 1e-8;
constexpr double kWeightDecay = 0.01;

bool is_half_type(const at::Tensor& tensor) {
    return tensor.scalar_type() == at::kHalf || tensor.scalar_type() == at::kBFloat16;
}

}  // namespace

AdamW::AdamW(const std::vector<at::Tensor>& leaves, double lr) : lr_{lr} {
    for (const at::Tensor& leaf : leaves) {
        const at::Tensor master = is_half_type(leaf) ? leaf.detach().to(at::kFloat) : leaf.detach();
        parameters_.push_back({.leaf = leaf,
                               .master = master,
                               .first_moment = at::zeros_like(master),
                               .second_moment = at::zeros_like(master)});
    }
}

double AdamW::grad_norm(double loss_scale) const {
    std::vector<at::Tensor> norms;
    for (const Parameter& parameter : parameters_) {
        const at::Tensor& gradient = parameter.leaf.grad();
        if (gradient.defined()) norms.push_back(gradient.to(parameter.master.scalar_type()).norm());
    }
    return norms.empty() ? 0 : at::stack(norms).norm().item<double>() / loss_scale;
}

void AdamW::update(double loss_scale) {
    const c10::NoGradGuard no_grad;
    ++updates_;
    const double bias1 = 1 - std::pow(kBeta1, static_cast<double>(updates_));
    const double bias2 = 1 - std::pow(kBeta2, static_cast<double>(updates_));
    for (Parameter& parameter : parameters_) {
        if (!parameter.leaf.grad().defined()) continue;
        const at::Tensor gradient = parameter.leaf.grad().to(parameter.master.scalar_type()) / loss_scale;
        parameter.first_moment.mul_(kBeta1).add_(gradient, 1 - kBeta1);
        parameter.second_moment.mul_(kBeta2).addcmul_(gradient, gradient, 1 - kBeta2);
        if (parameter.master.dim() >= 2) parameter.master.mul_(1 - lr_ * kWeightDecay);
        const at::Tensor denominator = (parameter.second_moment / bias2).sqrt_().add_(kEpsilon);
        parameter.master.addcdiv_(parameter.first_moment, denominator, -lr_ / bias1);
        if (is_half_type(parameter.leaf)) parameter.leaf.copy_(parameter.master);
    }
}

void AdamW::forget_gradients() {
    for (Parameter& parameter : parameters_)
        parameter.leaf.mutable_grad().reset();
}

}  // namespace nsa::core::train
