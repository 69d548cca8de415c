#include "nsa_core/parity/gradients.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "nsa_core/parity/metrics.hpp"

namespace nsa::core::parity {

std::array<at::Tensor, 3> gradients_of(const Attention& attention, const at::Tensor& q, const at::Tensor& k,
                                       const at::Tensor& v, const at::Tensor& d_out) {
    const c10::AutoGradMode on{true};
    const auto leaf = [](const at::Tensor& x) { return x.detach().requires_grad_(true); };
    const std::array<at::Tensor, 3> leaves{leaf(q), leaf(k), leaf(v)};
    attention(leaves[0], leaves[1], leaves[2]).backward(d_out);
    std::array<at::Tensor, 3> gradients;
    for (std::size_t i = 0; i < leaves.size(); ++i) {
        const at::Tensor& gradient = leaves[i].grad();
        gradients[i] = gradient.defined() ? gradient : at::zeros_like(leaves[i]).detach();
    }
    return gradients;
}

namespace {

double ratio_of(const GradientError& g, std::span<const GradientError> all, DType dtype) {
    const auto other = std::find_if(all.begin(), all.end(),
                                    [&](const GradientError& o) { return o.name == g.together_with; });
    if (other == all.end()) return bound_ratio(g.ours, g.plain, g.truth, dtype);
    const auto both = [](const at::Tensor& a, const at::Tensor& b) {
        return at::cat({a.flatten(), b.flatten()});
    };
    return bound_ratio(both(g.ours, other->ours), both(g.plain, other->plain), both(g.truth, other->truth),
                       dtype);
}

}  // namespace

void append_gradient_metrics(std::span<const GradientError> gradients, DType dtype,
                             std::vector<std::pair<std::string, double>>& metrics) {
    double worst = 0;
    for (const GradientError& g : gradients) {
        const ErrorMetrics error = compare(g.ours, g.truth);
        const double ratio = ratio_of(g, gradients, dtype);
        metrics.emplace_back(g.name + "_mae", error.mae);
        metrics.emplace_back(g.name + "_rel_l2", error.rel_l2);
        metrics.emplace_back(g.name + "_baseline_mae", compare(g.plain, g.truth).mae);
        metrics.emplace_back(g.name + "_bound_ratio", ratio);
        worst = std::max(worst, ratio);
    }
    metrics.emplace_back("gradients_bound_ratio", worst);
}

}  // namespace nsa::core::parity
