// Gradients of the whole layer in its input and weights, against the oracle's own.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "nsa_core/module.hpp"
#include "nsa_core/parity/gradients.hpp"
#include "nsa_core/parity/trial.hpp"

namespace nsa::core::parity {

// Of the sum of the output * d_out in x and in each weight. All attend the blocks that `module` chose.
// The routes it asks for are those of the plan afterwards.
[[nodiscard]] std::vector<GradientError> module_gradients(const TrialPlan& plan, NSAAttention& module,
                                                          const at::Tensor& x, const at::Tensor& d_out);

}  // namespace nsa::core::parity
