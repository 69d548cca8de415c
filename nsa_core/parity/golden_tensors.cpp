#include "nsa_core/parity/golden_tensors.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "nsa_core/device.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/parity/golden_plan.hpp"
#include "nsa_core/parity/metrics.hpp"
#include "nsa_core/tools/torch_device.hpp"

namespace nsa::core::parity {
namespace {

using golden::Element;
using golden::StoredTensor;

constexpr std::array<std::pair<Element, at::ScalarType>, 6> kTypes{{{Element::kF64, at::kDouble},
                                                                    {Element::kF32, at::kFloat},
                                                                    {Element::kF16, at::kHalf},
                                                                    {Element::kBf16, at::kBFloat16},
                                                                    {Element::kI64, at::kLong},
                                                                    {Element::kI32, at::kInt}}};

std::string producer_of(const TrialPlan& plan, std::int64_t seed) {
    const std::optional<Route>& route = plan.options.route;
    return "nsa-core parity, candidate by route " + std::string{route ? name(*route) : "auto"} +
           (plan.golden ? ", inputs of " + plan.options.golden
                        : ", seed " + std::to_string(seed) + ", fp64 oracle");
}

}  // namespace

at::Tensor tensor_of(const StoredTensor& stored) {
    const at::Tensor tensor =
        at::empty(stored.shape, kTypes[static_cast<std::size_t>(stored.element)].second);
    if (!stored.bytes.empty())
        std::memcpy(tensor.mutable_data_ptr(), stored.bytes.data(), stored.bytes.size());
    return tensor;
}

StoredTensor stored_tensor(const at::Tensor& tensor) {
    const at::Tensor plain = tensor.detach().cpu().contiguous();
    for (const auto& [element, type] : kTypes) {
        if (plain.scalar_type() != type) continue;
        StoredTensor stored{.element = element, .shape = plain.sizes().vec(), .bytes = {}};
        stored.bytes.resize(plain.nbytes());
        if (!stored.bytes.empty())
            std::memcpy(stored.bytes.data(), plain.const_data_ptr(), stored.bytes.size());
        return stored;
    }
    TORCH_CHECK(false, "a golden file holds no tensors of type ", plain.scalar_type());
}

at::Tensor golden_tensor(const TrialPlan& plan, const std::string& name) {
    const auto found = plan.golden->tensors.find(name);
    return found == plan.golden->tensors.end() ? at::Tensor{} : tensor_of(found->second);
}

at::Tensor golden_input(const TrialPlan& plan, const std::string& name) {
    const at::Tensor given = golden_tensor(plan, name);
    if (!given.defined()) throw InputError{plan.options.golden + ": it has no tensor " + name};
    const at::Tensor typed = given.to(scalar_type(plan.options.dtype));
    if (!typed.to(at::kDouble).equal(given.to(at::kDouble))) {
        throw InputError{plan.options.golden + ": --dtype " +
                         std::string{nsa::core::name(plan.options.dtype)} + " would round tensor " + name +
                         ", and the expected outputs are not those of rounded inputs"};
    }
    return typed.to(tools::torch_device(plan.device));
}

at::Tensor moved(const at::Tensor& plain, const at::Tensor& from, const at::Tensor& to) {
    return to.to(at::kDouble) + (plain.detach().cpu().to(at::kDouble) - from);
}

at::Tensor truth_of(const TrialPlan& plan, const at::Tensor& oracle, at::Tensor& plain,
                    std::vector<std::pair<std::string, double>>& more) {
    if (!plan.golden) return oracle;
    at::Tensor expected = golden_tensor(plan, output_name(plan.options.subject));
    const ErrorMetrics off = compare(expected, oracle);
    more.emplace_back("golden_vs_oracle_mae", off.mae);
    more.emplace_back("golden_vs_oracle_max_abs", off.max_abs);
    plain = moved(plain, oracle, expected);
    return expected;
}

at::Tensor d_out_of(const TrialPlan& plan, const at::Tensor& output, std::int64_t seed) {
    if (plan.golden && plan.golden->holds("d_out")) return golden_input(plan, "d_out");
    at::Generator generator = second_generator(seed);
    return random_normal(output.sizes(), generator, output.options());
}

void take_golden_truth(const TrialPlan& plan, std::vector<GradientError>& gradients,
                       std::vector<std::pair<std::string, double>>& more) {
    if (!plan.golden) return;
    double worst = 0;
    for (GradientError& g : gradients) {
        const at::Tensor given = golden_tensor(plan, gradient_name(plan.options.subject, g.input));
        if (!given.defined()) return;  // a file holds all or none
        worst = std::max(worst, compare(given, g.truth).rel_l2);
        g.plain = moved(g.plain, g.truth, given);
        g.truth = given;
    }
    more.emplace_back("golden_vs_oracle_gradients_rel_l2", worst);
}

void dump(const TrialPlan& plan, const TrialTensors& tensors, std::int64_t seed) {
    const ParityOptions& o = plan.options;
    if (o.dump.empty()) return;
    const std::string output = output_name(o.subject);
    const auto scope = output == "out" ? golden::Scope::kLayer : golden::Scope::kAttention;
    golden::TensorFile file{.metadata = golden::metadata_of(plan.config, scope, producer_of(plan, seed)),
                            .tensors = {}};
    for (const auto& [name, tensor] : tensors.inputs)
        file.tensors.emplace(name, stored_tensor(tensor));
    file.tensors.emplace(output, stored_tensor(tensors.truth));
    file.tensors.emplace("candidate." + output, stored_tensor(tensors.candidate));
    for (const GradientError& g : tensors.gradients) {
        const std::string name = gradient_name(o.subject, g.input);
        file.tensors.emplace(name, stored_tensor(g.truth));
        file.tensors.emplace("candidate." + name, stored_tensor(g.ours));
    }
    golden::write_tensor_file(o.dump, file);
}

}  // namespace nsa::core::parity
