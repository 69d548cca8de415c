// The branches over whole sequences: which keys a query sees, and the route that attends them.
#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <vector>

#include "nsa_core/attention.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/routes/compressed_runs.hpp"
#include "nsa_core/routes/cuda_branches.hpp"
#include "nsa_core/routes/flash.hpp"
#include "nsa_core/routes/masked.hpp"
#include "nsa_core/routes/sdpa.hpp"
#include "nsa_core/src/checks.hpp"

namespace nsa::core {
namespace {

constexpr std::int64_t kFewQueries = 64;  // fewer in one product waste more time on calls than they save

// Runs attend(begin, end) over chunks of the queries [first, last) and joins the results.
template <class Attend>
at::Tensor in_chunks(std::int64_t first, std::int64_t last, std::int64_t chunk, const Attend& attend) {
    std::vector<at::Tensor> parts;
    for (std::int64_t begin = first; begin < last; begin += chunk) {
        parts.push_back(attend(begin, std::min(begin + chunk, last)));
    }
    return parts.size() == 1 ? parts.front() : at::cat(parts, 2);
}

// Rows for queries before the first one that sees anything: exactly 0.
at::Tensor behind_zeros(std::int64_t zeros, const at::Tensor& q, const at::Tensor& rest) {
    if (zeros == 0) return rest;
    return at::cat({at::zeros({q.size(0), q.size(1), zeros, rest.size(3)}, rest.options()), rest}, 2);
}

// The published oracle, query by query: `keys(t)` is the range of key rows that query t was given.
template <class Keys>
at::Tensor one_query_at_a_time(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                               std::int64_t first, double scale, SdpaAudit* audit, const Keys& keys) {
    return in_chunks(first, q.size(2), 1, [&](std::int64_t t, std::int64_t) {
        const auto [begin, end] = keys(t);
        return sdpa_causal_one_query(q.narrow(2, t, 1), k.narrow(2, begin, end - begin),
                                     v.narrow(2, begin, end - begin), scale, audit);
    });
}

at::Tensor compressed_by_mask(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const NsaConfig& c, const Execution& how) {
    return in_chunks(
        c.l - 1, q.size(2), queries_per_chunk(q, k.size(2)), [&](std::int64_t begin, std::int64_t end) {
            const std::int64_t tokens = compressed_count(end, c);
            const at::Tensor last_key = positions(0, tokens, q).mul(c.d).add(c.l - 1);
            const at::Tensor mask = last_key.unsqueeze(0) <= positions(begin, end, q).unsqueeze(1);
            return masked_attention(q.narrow(2, begin, end - begin), k.narrow(2, 0, tokens),
                                    v.narrow(2, 0, tokens), mask.unsqueeze(0).unsqueeze(0), c.scale(), how);
        });
}

}  // namespace

at::Tensor sliding_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t w,
                             double scale, const Execution& how) {
    check_heads("sliding_attention", q, k, v);
    check_same_length("sliding_attention", q, k);
    if (w < 1) throw InputError("sliding_attention: w is " + std::to_string(w) + "; it must be at least 1");
    const std::int64_t window = std::min(w, q.size(2));  // a longer one sees no more, and cannot overflow
    if (how.route == Route::kCuda) return sliding_on_cuda(q, {.k = k, .v = v}, window, scale);
    if (is_fa2(how.route)) return flash_attention(q, k, v, FlashMask::kWindow, window, scale, how.route);
    if (how.route == Route::kSdpaCausalOneQuery) {
        return one_query_at_a_time(q, k, v, 0, scale, how.audit, [window](std::int64_t t) {
            return std::pair{std::max<std::int64_t>(0, t - window + 1), t + 1};
        });
    }
    // As many queries at a time as a window has keys: then half of the scores of a chunk are visible, or
    // more.
    const std::int64_t chunk =
        std::min(queries_per_chunk(q, std::min(2 * window, q.size(2))), std::max(window, kFewQueries));
    return in_chunks(0, q.size(2), chunk, [&](std::int64_t begin, std::int64_t end) {
        const std::int64_t oldest = std::max<std::int64_t>(0, begin - window + 1);
        const at::Tensor age = positions(begin, end, q).unsqueeze(1) - positions(oldest, end, q).unsqueeze(0);
        const at::Tensor mask = age.ge(0).logical_and(age.lt(window));
        return masked_attention(q.narrow(2, begin, end - begin), k.narrow(2, oldest, end - oldest),
                                v.narrow(2, oldest, end - oldest), mask.unsqueeze(0).unsqueeze(0), scale,
                                how);
    });
}

at::Tensor full_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale,
                          const Execution& how) {
    return sliding_attention(q, k, v, std::max<std::int64_t>(q.size(2), 1), scale, how);
}

at::Tensor compressed_attention(const at::Tensor& q, const at::Tensor& k_cmp, const at::Tensor& v_cmp,
                                const NsaConfig& c, const Execution& how) {
    check_heads("compressed_attention", q, k_cmp, v_cmp);
    check_compressed_length("compressed_attention", q, k_cmp, c);
    if (how.route == Route::kCuda) return compressed_on_cuda(q, {.k = k_cmp, .v = v_cmp}, c);
    if (k_cmp.size(2) == 0) {
        return at::zeros({q.size(0), q.size(1), q.size(2), v_cmp.size(3)}, q.options());
    }
    at::Tensor seeing;
    if (is_fa2(how.route)) {
        const at::Tensor rows = runs_as_heads(q, k_cmp.size(2), c);
        const at::Tensor out =
            flash_attention(rows, k_cmp, v_cmp, FlashMask::kCausal, 0, c.scale(), how.route);
        seeing = heads_as_runs(out, q.size(2), c);
    } else if (how.route == Route::kSdpaCausalOneQuery) {
        seeing = one_query_at_a_time(q, k_cmp, v_cmp, c.l - 1, c.scale(), how.audit, [&c](std::int64_t t) {
            return std::pair{std::int64_t{0}, compressed_count(t + 1, c)};
        });
    } else {
        seeing = compressed_by_mask(q, k_cmp, v_cmp, c, how);
    }
    return behind_zeros(c.l - 1, q, seeing);
}

at::Tensor selected_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const at::Tensor& blocks, const NsaConfig& c, const Execution& how) {
    check_heads("selected_attention", q, k, v);
    check_same_length("selected_attention", q, k);
    check_blocks("selected_attention", blocks, q, k, c);
    if (how.route == Route::kCuda) return selected_on_cuda(q, {.k = k, .v = v}, blocks, c);
    const std::int64_t length = q.size(2);
    return in_chunks(0, length, queries_per_chunk(q, length), [&](std::int64_t begin, std::int64_t end) {
        const at::Tensor picked = blocks.narrow(2, begin, end - begin);
        const std::int64_t count = block_count(end, c);
        const at::Tensor none = picked.lt(0).logical_or(picked.ge(count));
        // One column more than there are blocks takes what is none of them, and is cut off.
        const at::Tensor chosen = at::zeros({picked.size(0), picked.size(1), end - begin, count + 1},
                                            picked.options().dtype(at::kBool))
                                      .scatter(3, picked.masked_fill(none, count), true)
                                      .narrow(3, 0, count);
        const at::Tensor causal = positions(0, end, q).unsqueeze(0) <= positions(begin, end, q).unsqueeze(1);
        const at::Tensor mask = chosen.repeat_interleave(c.l_sel, 3).narrow(3, 0, end).logical_and(causal);
        return masked_attention(q.narrow(2, begin, end - begin), k.narrow(2, 0, end), v.narrow(2, 0, end),
                                mask, c.scale(), how);
    });
}

}  // namespace nsa::core
