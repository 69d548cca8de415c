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
    updates_ = at::zeros({}, leaves.front().options().dtype(at::kFloat).requires_grad(false));
}

at::Tensor AdamW::grad_norm() const {
    std::vector<at::Tensor> gradients;
    for (const Parameter& parameter : parameters_) {
        if (parameter.leaf.grad().defined()) gradients.push_back(parameter.leaf.grad());
    }
    if (gradients.empty()) return at::zeros({}, updates_.options());
    return at::stack(at::_foreach_norm(gradients, 2, parameters_.front().master.scalar_type())).norm();
}

double AdamW::grad_norm(double loss_scale) const {
    return grad_norm().item<double>() / loss_scale;
}

void AdamW::update(double loss_scale) {
    const c10::NoGradGuard no_grad;
    updates_.add_(1);
    update(/*decayed=*/true, loss_scale);
    update(/*decayed=*/false, loss_scale);
}

void AdamW::update(bool decayed, double loss_scale) {
    std::vector<at::Tensor> leaves, masters, given, gradients, first_moments, second_moments;
    for (const Parameter& parameter : parameters_) {
        const bool matrix = parameter.master.dim() >= 2;
        if (matrix != decayed || !parameter.leaf.grad().defined()) continue;
        leaves.push_back(parameter.leaf);
        masters.push_back(parameter.master);
        given.push_back(parameter.leaf.grad());
        gradients.push_back(at::empty_like(parameter.master));
        first_moments.push_back(parameter.first_moment);
        second_moments.push_back(parameter.second_moment);
    }
    if (leaves.empty()) return;
    at::_foreach_copy_(gradients, given);  // as fp32
    if (loss_scale != 1) at::_foreach_div_(gradients, loss_scale);
    const std::vector<at::Tensor> updates(leaves.size(), updates_);
    at::_fused_adamw_(masters, gradients, first_moments, second_moments, /*max_exp_avg_sqs=*/{}, updates, lr_,
                      kBeta1, kBeta2, decayed ? kWeightDecay : 0, kEpsilon, /*amsgrad=*/false,
                      /*maximize=*/false);
    if (is_half_type(leaves.front())) at::_foreach_copy_(leaves, masters);
}

void AdamW::forget_gradients() {
    for (Parameter& parameter : parameters_)
        parameter.leaf.mutable_grad().reset();
}

}  // namespace nsa::core::train
