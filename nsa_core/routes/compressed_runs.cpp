#include "nsa_core/routes/compressed_runs.hpp"

#include <ATen/ATen.h>

namespace nsa::core {

at::Tensor runs_as_heads(const at::Tensor& q, std::int64_t tokens, const NsaConfig& c) {
    const std::int64_t seeing = q.size(2) - (c.l - 1);  // queries that see a token
    const at::Tensor filled =
        at::constant_pad_nd(q.narrow(2, c.l - 1, seeing), {0, 0, 0, tokens * c.d - seeing});
    return filled.reshape({q.size(0), q.size(1), tokens, c.d, q.size(3)}).transpose(2, 3).flatten(1, 2);
}

at::Tensor heads_as_runs(const at::Tensor& rows, std::int64_t length, const NsaConfig& c) {
    return rows
        .unflatten(1, {rows.size(1) / c.d, c.d})  // [B,H,d,tokens,c]
        .transpose(2, 3)
        .flatten(2, 3)
        .narrow(2, 0, length - (c.l - 1));
}

}  // namespace nsa::core
