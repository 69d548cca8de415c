// What one sequence of a decode step should give: by the oracle, and by a plain implementation in the same
// type.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "nsa_core/config.hpp"
#include "nsa_core/paged_cache.hpp"

namespace nsa::core::parity {

// One sequence on the CPU: the query at position t and, in order, every row that its branches hold after the
// step.
struct SequenceRows {
    std::int64_t t = 0;
    at::Tensor q;      // [H,dk]
    at::Tensor gates;  // [H,3]
    KeysValues cmp;    // [G, compressed_count(t+1), c]
    KeysValues sel;    // [G, t+1, c]
    KeysValues win;
};

// The oracle's importance of each block and its choice, by group.
struct TrueSelection {
    std::vector<std::vector<double>> importance;
    std::vector<std::vector<std::int64_t>> blocks;
    double rounding = 0;  // importance_rounding()
};
// By how much fp32 arithmetic may move an importance, as a share of it: scores are sums of dk products of
// which the largest is bounded by the norms of queries and keys.
[[nodiscard]] double importance_rounding(const at::Tensor& q, const at::Tensor& k_cmp,
                                         const NsaConfig& config);

[[nodiscard]] TrueSelection true_selection(const SequenceRows& rows, const NsaConfig& config);

// Outputs [H,dv], given the blocks of each group, -1 behind the last.
struct TrueOutput {
    at::Tensor truth;  // fp64
    at::Tensor plain;  // every intermediate rounded to the dtype of q
};
[[nodiscard]] TrueOutput true_output(const SequenceRows& rows,
                                     const std::vector<std::vector<std::int64_t>>& blocks,
                                     const NsaConfig& config);

}  // namespace nsa::core::parity
