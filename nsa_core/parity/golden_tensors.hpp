// Tensors of golden files, and the file of a trial.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "nsa_core/golden/tensor_file.hpp"
#include "nsa_core/parity/gradients.hpp"
#include "nsa_core/parity/trial.hpp"

namespace nsa::core::parity {

[[nodiscard]] at::Tensor tensor_of(const golden::StoredTensor& stored);      // a copy on the CPU
[[nodiscard]] golden::StoredTensor stored_tensor(const at::Tensor& tensor);  // of the six types a file knows

// An input of the plan's golden file, in the dtype and on the device of the run. Throws InputError when the
// dtype would round it: the expected outputs are not those of rounded inputs.
[[nodiscard]] at::Tensor golden_input(const TrialPlan& plan, const std::string& name);

// The tensor of the plan's golden file on the CPU, undefined when it has none of that name.
[[nodiscard]] at::Tensor golden_tensor(const TrialPlan& plan, const std::string& name);

// What the candidate is held against: the output of the golden file, else the oracle's. A file's output is
// itself compared with the oracle, into `more`: when both disagree with the candidate, this says who is
// alone. `plain` is moved from the oracle to the file, so that its error stays its own: a file that is wrong
// must not widen the bound that is made of it.
[[nodiscard]] at::Tensor truth_of(const TrialPlan& plan, const at::Tensor& oracle, at::Tensor& plain,
                                  std::vector<std::pair<std::string, double>>& more);

// `plain` as far from the second as it is from the first, in fp64 on the CPU.
[[nodiscard]] at::Tensor moved(const at::Tensor& plain, const at::Tensor& from, const at::Tensor& to);

// What the output is multiplied by before its gradients are taken: the file's, else drawn from the seed.
[[nodiscard]] at::Tensor d_out_of(const TrialPlan& plan, const at::Tensor& output, std::int64_t seed);

// The same of gradients as of outputs by truth_of(): puts those of the file in the place of the oracle's.
void take_golden_truth(const TrialPlan& plan, std::vector<GradientError>& gradients,
                       std::vector<std::pair<std::string, double>>& more);

// What one trial worked on and what came out.
struct TrialTensors {
    std::vector<std::pair<std::string, at::Tensor>> inputs;
    at::Tensor truth;  // of the file, else the oracle's
    at::Tensor candidate;
    std::vector<GradientError> gradients = {};
};

// Writes them to --dump, if it was given. Throws InputError when the file cannot be written.
void dump(const TrialPlan& plan, const TrialTensors& tensors, std::int64_t seed);

}  // namespace nsa::core::parity
