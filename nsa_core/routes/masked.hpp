// Attention of a block of queries over keys under an explicit mask: routes `reference` and `sdpa`.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "nsa_core/attention.hpp"

namespace nsa::core {

/// Type that scores and softmax are computed in: fp32 for half types, else the tensor's own.
[[nodiscard]] at::ScalarType accumulation_type(const at::Tensor& tensor);

/// The integers [begin, end) on the device of `like`.
[[nodiscard]] at::Tensor positions(std::int64_t begin, std::int64_t end, const at::Tensor& like);

/// q [B,H,queries,c] as [B,G,(H/G) queries,c]: the heads of a group become rows, so one product serves them
/// all and K and V are never repeated.
[[nodiscard]] at::Tensor fold_heads(const at::Tensor& q, std::int64_t groups);
[[nodiscard]] at::Tensor unfold_heads(const at::Tensor& rows, std::int64_t heads);  // and back

/// Queries per chunk, so that a chunk's scores stay near 64 MB whatever the sequence length.
[[nodiscard]] std::int64_t queries_per_chunk(const at::Tensor& q, std::int64_t keys);

/// mask is [1 or B, 1 or G, queries, keys], true = visible; every query must see a key. What is masked cannot
/// reach the output even when it is NaN or Inf; a visible one makes the query's output NaN.
[[nodiscard]] at::Tensor masked_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                          const at::Tensor& mask, double scale, const Execution& how);

/// Every query sees every key: what a decode step needs once its keys are gathered.
[[nodiscard]] at::Tensor unmasked_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                            double scale, const Execution& how);

}  // namespace nsa::core
