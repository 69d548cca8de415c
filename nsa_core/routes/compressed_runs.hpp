// Compressed visibility as a plain causal mask, for kernels that know no other.
//
// Neighbouring queries see the same number of compressed tokens: from query l-1 on, the d queries
// [l-1 + i d, l-1 + (i+1) d) see exactly the tokens 0..i. Laid beside one another as d more heads, such a run
// becomes one row, and row i sees tokens 0..i: as many rows as tokens, so the square causal mask, on which
// top-left and bottom-right alignment agree. No key is copied, and dense, packed and backward kernels all
// apply.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "nsa_core/config.hpp"

namespace nsa::core {

/// q [B,H,S,c] with `tokens` = compressed_count(S) > 0 -> [B,H d,tokens,c]. Head h becomes the heads h d..,
/// so groups stay together. The last run is filled up with zero queries.
[[nodiscard]] at::Tensor runs_as_heads(const at::Tensor& q, std::int64_t tokens, const NsaConfig& config);

/// Back: [B,H d,tokens,c] -> the outputs of queries l-1..length-1, [B,H,length-l+1,c].
[[nodiscard]] at::Tensor heads_as_runs(const at::Tensor& rows, std::int64_t length, const NsaConfig& config);

}  // namespace nsa::core
