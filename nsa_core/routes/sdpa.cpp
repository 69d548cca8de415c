#include "nsa_core/routes/sdpa.hpp"

#include <ATen/ATen.h>

#include <ostream>

#include "nsa_core/sdpa_audit.hpp"

namespace nsa::core {

at::Tensor sdpa(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                const std::optional<at::Tensor>& mask, double scale, SdpaAudit* audit) {
    const at::Tensor out =
        at::scaled_dot_product_attention(q, k, v, mask, /*dropout_p=*/0.0, /*is_causal=*/false, scale);
    if (audit) audit->record(q, k, out, /*is_causal=*/false, mask.has_value());
    return out;
}

at::Tensor sdpa_causal_one_query(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale,
                                 SdpaAudit* audit) {
    TORCH_INTERNAL_ASSERT(q.size(2) == 1, "one query was expected, not ", q.size(2));
    const std::int64_t heads_per_group = q.size(1) / k.size(1);
    const at::Tensor keys = k.repeat_interleave(heads_per_group, 1);
    const at::Tensor out =
        at::scaled_dot_product_attention(q, keys, v.repeat_interleave(heads_per_group, 1), std::nullopt,
                                         /*dropout_p=*/0.0, /*is_causal=*/true, scale);
    if (audit) audit->record(q, keys, out, /*is_causal=*/true, /*has_mask=*/false);
    return out;
}

void SdpaAudit::record(const at::Tensor& q, const at::Tensor& k, const at::Tensor& out, bool is_causal,
                       bool has_mask) {
    const bool misaligned = is_causal && q.size(-2) < k.size(-2);
    const auto nan_rows = out.isnan().any(-1).sum().item<std::int64_t>();
    ++calls_;
    misaligned_calls_ += misaligned ? 1 : 0;
    nan_rows_ += nan_rows;
    *log_ << "sdpa call " << calls_ << ": q " << q.sizes() << " k " << k.sizes() << ", "
          << (has_mask ? "explicit mask" : (is_causal ? "is_causal" : "no mask"));
    if (misaligned) {
        *log_ << ", TOP-LEFT ALIGNED: " << q.size(-2) << " queries see keys 0.." << q.size(-2) - 1 << " of "
              << k.size(-2);
    }
    *log_ << ", NaN rows " << nan_rows << "\n";
}

}  // namespace nsa::core
