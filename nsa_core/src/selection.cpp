// Which blocks a query selects: importance from the compressed scores, then top-n. Nothing here carries a
// gradient: selection is a choice, and Eq. 11 is differentiated through the chosen keys only.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "nsa_core/attention.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/routes/masked.hpp"
#include "nsa_core/src/checks.hpp"

namespace nsa::core {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// p_cmp of Eq. 8, summed over the heads of a group (the sum of Eq. 10 taken early: it commutes with Eq. 9).
// The normaliser runs over visible tokens only. q [B,H,queries,dk] -> [B,G,queries,tokens].
at::Tensor group_probability(const at::Tensor& q, const at::Tensor& k_cmp, std::int64_t first,
                             const NsaConfig& c) {
    const at::ScalarType type = accumulation_type(q);
    const std::int64_t queries = q.size(2);
    const at::Tensor last_key = positions(0, k_cmp.size(2), q).mul(c.d).add(c.l - 1);
    const at::Tensor hidden = last_key.unsqueeze(0) > positions(first, first + queries, q).unsqueeze(1);
    const at::Tensor scores =
        at::matmul(fold_heads(q, k_cmp.size(1)).to(type), k_cmp.to(type).transpose(-1, -2))
            .mul(c.scale())
            .view({q.size(0), k_cmp.size(1), -1, queries, k_cmp.size(2)})  // heads of a group apart again
            .masked_fill(hidden, -kInfinity);
    // A query that sees no token has softmax 0/0; its importance is 0.
    return at::softmax(scores, -1).masked_fill(hidden, 0).sum(2);
}

// Eq. 9: block j gathers the tokens that overlap it, weighted by the overlap. The weights depend on the
// token's place relative to the block only, so one strided slice per relative place serves all blocks. Every
// block adds its terms in the same order, so equal probabilities give exactly equal importance.
at::Tensor block_sums(const at::Tensor& p, std::int64_t blocks, const NsaConfig& c) {
    const std::int64_t stride = c.l_sel / c.d;  // tokens that begin in a block
    const std::int64_t before = c.l / c.d - 1;  // tokens that begin earlier and reach into it
    const std::int64_t padded = before + blocks * stride;
    const at::Tensor rows = at::constant_pad_nd(p, {before, padded - before - p.size(-1)});
    at::Tensor total;
    for (std::int64_t place = 0; place < before + stride; ++place) {
        // Weight of token `place` of a block far enough from the start that no index is negative.
        const std::int64_t block = before;
        const std::int64_t weight = overlap_weight(block * stride - before + place, block, c);
        const at::Tensor term =
            rows.slice(-1, place, place + (blocks - 1) * stride + 1, stride).mul(static_cast<double>(weight));
        total = total.defined() ? total + term : term;
    }
    return total;
}

}  // namespace

at::Tensor block_importance(const at::Tensor& q, const at::Tensor& k_cmp, std::int64_t first,
                            std::int64_t blocks, const NsaConfig& c) {
    const at::NoGradGuard no_grad;
    const std::int64_t queries = q.size(2);
    if (k_cmp.size(2) == 0) {
        return at::zeros({q.size(0), k_cmp.size(1), queries, blocks},
                         q.options().dtype(accumulation_type(q)));
    }
    const std::int64_t chunk = queries_per_chunk(q, k_cmp.size(2));
    std::vector<at::Tensor> parts;
    for (std::int64_t begin = 0; begin < queries; begin += chunk) {
        const at::Tensor part = q.narrow(2, begin, std::min(chunk, queries - begin));
        parts.push_back(block_sums(group_probability(part, k_cmp, first + begin, c), blocks, c));
    }
    return parts.size() == 1 ? parts.front() : at::cat(parts, 2);
}

at::Tensor select_blocks(const at::Tensor& importance, std::int64_t first, const NsaConfig& c) {
    const at::NoGradGuard no_grad;
    const std::int64_t blocks = importance.size(3);
    const at::Tensor block = positions(0, blocks, importance).unsqueeze(0);
    const at::Tensor own =
        positions(first, first + importance.size(2), importance).floor_divide(c.l_sel).unsqueeze(1);
    const at::Tensor forced =
        block.lt(c.n_initial).logical_or(block.gt(own - c.n_local)).logical_and(block.le(own));
    // Importance is never negative, so the two infinities stand outside the ranking. A NaN would rank above
    // both; it counts as 0, and the attention itself reports it.
    const at::Tensor rank = importance.masked_fill(importance.isnan(), 0)
                                .masked_fill(forced, kInfinity)
                                .masked_fill(block.gt(own), -kInfinity);
    // A stable descending sort keeps the lower index first among equals.
    const auto [ranked, order] = at::sort(rank, /*stable=*/true, /*dim=*/-1, /*descending=*/true);
    const std::int64_t picks = std::min(c.n, blocks);
    const at::Tensor none = ranked.narrow(3, 0, picks).eq(-kInfinity);
    const at::Tensor picked = order.narrow(3, 0, picks).masked_fill(none, blocks);  // behind every real block
    const at::Tensor ascending = std::get<0>(at::sort(picked, -1));
    return ascending.masked_fill(ascending.eq(blocks), -1);
}

}  // namespace nsa::core
