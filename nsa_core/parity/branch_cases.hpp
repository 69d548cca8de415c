// One branch alone under test: the implementations that are compared, and what is true.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "nsa_core/attention.hpp"
#include "nsa_core/parity/gradients.hpp"
#include "nsa_core/parity/trial.hpp"
#include "nsa_core/reference.hpp"

namespace nsa::core::parity {

struct BranchQkv {
    at::Tensor q;  // [B,H,S,dk]
    at::Tensor k;  // [B,G,S,dk]
    at::Tensor v;  // [B,G,S,dv]
};

using More = std::vector<std::pair<std::string, double>>;

// Two implementations as functions of q, k and v.
struct BranchCase {
    Attention candidate;
    Attention plain;
    at::Tensor truth;
    std::function<reference::Gradients(const at::Tensor& d_out)> gradients;  // of the sum of truth * d_out
    std::function<More(const at::Tensor& candidate)> more;  // metrics of this branch only; may be empty
    at::Tensor blocks = {};  // of the selected branch: the blocks that all three attend
};

// For the subject of the plan, which is kSliding, kCompressed or kSelected. Refers to plan and tensors.
[[nodiscard]] BranchCase branch_case(const TrialPlan& plan, const BranchQkv& in, const Execution& how);

}  // namespace nsa::core::parity
