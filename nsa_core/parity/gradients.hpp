// Gradients of an implementation, and how they are reported.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "nsa_core/numeric.hpp"

namespace nsa::core::parity {

using Attention = std::function<at::Tensor(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v)>;

// Of the sum of attention(q, k, v) * d_out, in the order of the arguments; zeros for one that plays no part.
[[nodiscard]] std::array<at::Tensor, 3> gradients_of(const Attention& attention, const at::Tensor& q,
                                                     const at::Tensor& k, const at::Tensor& v,
                                                     const at::Tensor& d_out);

struct GradientError {
    std::string name;   // "dq"
    std::string input;  // what it is the gradient in, by its name in golden files: "q", "weight.wq"
    at::Tensor ours;
    at::Tensor plain;  // by a plain implementation in the same type
    at::Tensor truth;
    // The name of another whose bound it shares: for one that is a sum of terms which cancel, so that it has
    // no size of its own to be judged by.
    std::string together_with = {};
};

// Appends NAME_mae, NAME_rel_l2, NAME_baseline_mae and NAME_bound_ratio of each, and the largest of the last
// as gradients_bound_ratio.
void append_gradient_metrics(std::span<const GradientError> gradients, DType dtype,
                             std::vector<std::pair<std::string, double>>& metrics);

}  // namespace nsa::core::parity
