// The only callers of at::scaled_dot_product_attention, so that the audit sees every call.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace nsa::core {

class SdpaAudit;

/// q [..,queries,dk], k [..,keys,dk], v [..,keys,dv]; mask boolean, true = visible, or nothing = all visible.
[[nodiscard]] at::Tensor sdpa(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const std::optional<at::Tensor>& mask, double scale, SdpaAudit* audit);

/// The published oracle, kept as it was: one query over its keys with is_causal = true. PyTorch aligns that
/// mask at the top left, so the one query is row 0 and sees key 0 only. q [B,H,1,dk], k [B,G,keys,dk].
[[nodiscard]] at::Tensor sdpa_causal_one_query(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                               double scale, SdpaAudit* audit);

}  // namespace nsa::core
