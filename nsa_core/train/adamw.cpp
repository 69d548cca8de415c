#include "nsa_core/train/adamw.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

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
    updates_ = at::zeros({}, leaves.front().options().dtype(at::kDouble).requires_grad(false));
}

at::Tensor AdamW::grad_norm() const {
    std::vector<at::Tensor> norms;
    for (const Parameter& parameter : parameters_) {
        const at::Tensor& gradient = parameter.leaf.grad();
        if (gradient.defined()) norms.push_back(gradient.to(parameter.master.scalar_type()).norm());
    }
    return norms.empty() ? at::zeros({}, updates_.options()) : at::stack(norms).norm();
}

double AdamW::grad_norm(double loss_scale) const {
    return grad_norm().item<double>() / loss_scale;
}

void AdamW::update(double loss_scale) {
    const c10::NoGradGuard no_grad;
    updates_.add_(1);
    const at::Tensor bias2 = 1 - at::pow(kBeta2, updates_);
    const at::Tensor step_size = lr_ / (1 - at::pow(kBeta1, updates_));
    for (Parameter& parameter : parameters_) {
        if (!parameter.leaf.grad().defined()) continue;
        const at::Tensor gradient = parameter.leaf.grad().to(parameter.master.scalar_type()) / loss_scale;
        parameter.first_moment.mul_(kBeta1).add_(gradient, 1 - kBeta1);
        parameter.second_moment.mul_(kBeta2).addcmul_(gradient, gradient, 1 - kBeta2);
        if (parameter.master.dim() >= 2) parameter.master.mul_(1 - lr_ * kWeightDecay);
        const at::Tensor denominator = (parameter.second_moment / bias2).sqrt_().add_(kEpsilon);
        parameter.master.sub_((parameter.first_moment / denominator).mul_(step_size));
        if (is_half_type(parameter.leaf)) parameter.leaf.copy_(parameter.master);
    }
}

void AdamW::forget_gradients() {
    for (Parameter& parameter : parameters_)
        parameter.leaf.mutable_grad().reset();
}

}  // namespace nsa::core::train
