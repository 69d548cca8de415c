#include "nsa_core/routes/masked.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <string>

#include "nsa_core/errors.hpp"
#include "nsa_core/routes/flash.hpp"
#include "nsa_core/routes/sdpa.hpp"

namespace nsa::core {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

// Softmax attention spelled out, on folded heads. mask [..,queries,keys] is broadcast over the folded heads.
at::Tensor spelled_out(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       const std::optional<at::Tensor>& mask, double scale) {
    const at::ScalarType type = accumulation_type(q);
    at::Tensor scores = at::matmul(q.to(type), k.to(type).transpose(-1, -2)).mul(scale);
    if (mask) scores = scores.masked_fill(mask->logical_not(), kMinusInfinity);
    return at::matmul(at::softmax(scores, -1), v.to(type)).to(q.scalar_type());
}

// mask [.., queries, keys] once per head of a group, in the row order of fold_heads.
at::Tensor repeat_for_heads(const at::Tensor& mask, std::int64_t heads_per_group) {
    return mask.repeat({1, 1, heads_per_group, 1});
}

[[noreturn]] void refuse(Route route) {
    throw InputError("route " + std::string{name(route)} + " does not take an explicit mask");
}

}  // namespace

at::ScalarType accumulation_type(const at::Tensor& tensor) {
    const at::ScalarType type = tensor.scalar_type();
    return type == at::kHalf || type == at::kBFloat16 ? at::kFloat : type;
}

at::Tensor positions(std::int64_t begin, std::int64_t end, const at::Tensor& like) {
    return at::arange(begin, end, at::TensorOptions{like.device()}.dtype(at::kLong));
}

at::Tensor fold_heads(const at::Tensor& q, std::int64_t groups) {
    const std::int64_t rows = q.size(1) / groups * q.size(2);
    return q.reshape({q.size(0), groups, rows, q.size(3)});
}

at::Tensor unfold_heads(const at::Tensor& rows, std::int64_t heads) {
    const std::int64_t queries = rows.size(1) * rows.size(2) / heads;
    return rows.reshape({rows.size(0), heads, queries, rows.size(3)});
}

std::int64_t queries_per_chunk(const at::Tensor& q, std::int64_t keys) {
    constexpr std::int64_t kScoresPerChunk = std::int64_t{1} << 24;
    constexpr std::int64_t kFewestQueries = 16;
    const std::int64_t scores_per_query = std::max<std::int64_t>(q.size(0) * q.size(1) * keys, 1);
    return std::max(kScoresPerChunk / scores_per_query, kFewestQueries);
}

at::Tensor masked_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const at::Tensor& mask, double scale, const Execution& how) {
    // A masked NaN would still arrive through 0 * NaN in the product with V, and through NaN + -inf where
    // SDPA adds its mask. So rows that are not finite are set to 0, and the queries that see one are marked
    // after.
    const at::Tensor finite = k.isfinite().all(-1).logical_and(v.isfinite().all(-1));  // [B,G,keys]
    const at::Tensor clean_k = k.masked_fill(finite.logical_not().unsqueeze(-1), 0);
    const at::Tensor clean_v = v.masked_fill(finite.logical_not().unsqueeze(-1), 0);
    const at::Tensor sees_bad_row =
        mask.logical_and(finite.logical_not().unsqueeze(2)).any(-1);  // [B,G,queries]

    const std::int64_t heads_per_group = q.size(1) / k.size(1);
    const at::Tensor rows = fold_heads(q, k.size(1));
    const at::Tensor row_mask = repeat_for_heads(mask, heads_per_group);
    at::Tensor out;
    if (how.route == Route::kReference) {
        out = spelled_out(rows, clean_k, clean_v, row_mask, scale);
    } else if (how.route == Route::kSdpa) {
        out = sdpa(rows, clean_k, clean_v, row_mask, scale, how.audit);
    } else {
        refuse(how.route);
    }
    out = out.masked_fill(sees_bad_row.repeat({1, 1, heads_per_group}).unsqueeze(-1), kNan);
    return unfold_heads(out, q.size(1));
}

at::Tensor unmasked_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale,
                              const Execution& how) {
    switch (how.route) {
        case Route::kReference:
            return unfold_heads(spelled_out(fold_heads(q, k.size(1)), k, v, std::nullopt, scale), q.size(1));
        case Route::kSdpa:
            return unfold_heads(sdpa(fold_heads(q, k.size(1)), k, v, std::nullopt, scale, how.audit),
                                q.size(1));
        case Route::kFa2Dense:
        case Route::kFa2Varlen:
            return flash_attention(q, k, v, FlashMask::kNone, /*window=*/0, scale, how.route);
        case Route::kSdpaCausalOneQuery:
            return sdpa_causal_one_query(q, k, v, scale, how.audit);
        case Route::kCuda:  // attends through page tables: see cuda_decode.hpp
            break;
    }
    refuse(how.route);
}

}  // namespace nsa::core
