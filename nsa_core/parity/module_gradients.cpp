#include "nsa_core/parity/module_gradients.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "nsa_core/parity/gradients.hpp"
#include "nsa_core/parity/metrics.hpp"
#include "nsa_core/reference.hpp"

namespace nsa::core::parity {
namespace {

struct LayerGradients {
    std::vector<at::Tensor> all;  // of x, then of the parameters in their order
    at::Tensor blocks;
};

at::Tensor take_gradient(at::Tensor leaf) {
    at::Tensor gradient = leaf.grad().defined() ? leaf.grad() : at::zeros_like(leaf).detach();
    leaf.mutable_grad().reset();
    return gradient;
}

LayerGradients gradients(const NSAAttention& module, const at::Tensor& x, const at::Tensor& d_out,
                         const at::Tensor& blocks) {
    const c10::AutoGradMode on{true};
    const at::Tensor input = x.detach().requires_grad_(true);
    const PrefillResult result = module.prefill(input, nullptr, blocks);
    result.out.backward(d_out);
    LayerGradients d{.all = {take_gradient(input)}, .blocks = result.blocks};
    for (const NamedTensor& parameter : module.parameters())
        d.all.push_back(take_gradient(parameter.tensor));
    return d;
}

}  // namespace

std::vector<GradientError> module_gradients(const TrialPlan& plan, NSAAttention& module, const at::Tensor& x,
                                            const at::Tensor& d_out) {
    const LayerGradients ours = gradients(module, x, d_out, {});

    const reference::ModuleGradients truth = reference::module_backward(
        plan.config, module.parameters(), x, ours.blocks, d_out, plan.policy.force_branch);

    module.ask_route(Route::kReference);
    const LayerGradients plain = gradients(module, x, d_out, ours.blocks);
    for (const Branch branch : kBranches)
        module.ask_route(branch, route_asked_of(branch, plan.options));

    std::vector<GradientError> errors{{"d_x", "x", ours.all[0], plain.all[0], truth.x}};
    for (std::size_t i = 1; i < ours.all.size(); ++i) {
        const std::string& name = module.parameters()[i - 1].name;
        errors.push_back(
            {"d_" + name, "weight." + name, ours.all[i], plain.all[i], truth.weights[i - 1].tensor});
        // All keys moved alike move no probability: its true value is 0, and what is there is rounding of the
        // terms. It is a column of W2, of a hidden number that is always 1.
        if (name == "phi_k.b2") errors.back().together_with = "d_phi_k.w2";
    }
    return errors;
}

}  // namespace nsa::core::parity
