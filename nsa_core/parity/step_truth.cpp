#include "nsa_core/parity/step_truth.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "nsa_core/parity/metrics.hpp"
#include "nsa_core/reference.hpp"

namespace nsa::core::parity {
namespace {

// As a batch of one sequence with one query: [1,H,1,dk] and [1,G,N,c].
at::Tensor as_query(const at::Tensor& q) {
    return q.unsqueeze(0).unsqueeze(2);
}
at::Tensor as_batch(const at::Tensor& rows) {
    return rows.unsqueeze(0);
}

double largest_norm(const at::Tensor& rows) {
    return rows.numel() == 0 ? 0 : rows.to(at::kDouble).norm(2, -1).max().item<double>();
}

at::Tensor blocks_tensor(const std::vector<std::vector<std::int64_t>>& blocks) {
    std::vector<at::Tensor> rows;
    rows.reserve(blocks.size());
    for (const auto& row : blocks)
        rows.push_back(at::tensor(row, at::kLong));
    return at::stack(rows).unsqueeze(0).unsqueeze(2);  // [1,G,1,n]
}

// Softmax attention over rows [G,N,c] that are all visible.
at::Tensor plain_over(const at::Tensor& q, const KeysValues& rows, double scale) {
    if (rows.k.size(1) == 0) return at::zeros({q.size(0), rows.v.size(2)}, q.options());
    const at::Tensor all = at::ones({1, rows.k.size(1)}, at::kBool);
    return plain_attention(as_query(q), as_batch(rows.k), as_batch(rows.v), all, scale)[0].select(1, 0);
}

KeysValues window_of(const SequenceRows& rows, std::int64_t w) {
    const std::int64_t count = std::min(w, rows.t + 1);
    return {.k = rows.win.k.narrow(1, rows.t + 1 - count, count),
            .v = rows.win.v.narrow(1, rows.t + 1 - count, count)};
}

// Every group holds its own block, so all hold as many tokens.
KeysValues selected_of(const SequenceRows& rows, const std::vector<std::vector<std::int64_t>>& blocks,
                       std::int64_t l_sel) {
    std::vector<at::Tensor> k;
    std::vector<at::Tensor> v;
    for (std::size_t g = 0; g < blocks.size(); ++g) {
        std::vector<std::int64_t> tokens;
        for (const std::int64_t block : blocks[g]) {
            for (std::int64_t s = block * l_sel; block >= 0 && s < (block + 1) * l_sel && s <= rows.t; ++s)
                tokens.push_back(s);
        }
        const at::Tensor index = at::tensor(tokens, at::kLong);
        k.push_back(rows.sel.k[static_cast<std::int64_t>(g)].index_select(0, index));
        v.push_back(rows.sel.v[static_cast<std::int64_t>(g)].index_select(0, index));
    }
    return {.k = at::stack(k), .v = at::stack(v)};
}

at::Tensor gated(const at::Tensor& gates, const at::Tensor& cmp, const at::Tensor& sel,
                 const at::Tensor& win) {
    const at::Tensor g = gates.unsqueeze(-1);  // [H,3,1]
    return g.select(1, 0) * cmp + g.select(1, 1) * sel + g.select(1, 2) * win;
}

}  // namespace

double importance_rounding(const at::Tensor& q, const at::Tensor& k_cmp, const NsaConfig& config) {
    // In units of the rounding of fp32: the sums of a score, of its exponential and of the terms of a block.
    constexpr double kFp32Rounding = 6e-8;
    constexpr double kSums = 64;
    constexpr double kMargin = 8;
    return kMargin * kFp32Rounding * (kSums + config.scale() * largest_norm(q) * largest_norm(k_cmp));
}

TrueSelection true_selection(const SequenceRows& rows, const NsaConfig& config) {
    const at::Tensor importance =
        reference::block_importance(as_query(rows.q), as_batch(rows.cmp.k), config, rows.t);
    const at::Tensor blocks = reference::select_blocks(importance, config, rows.t);
    TrueSelection result;
    for (std::int64_t g = 0; g < importance.size(1); ++g) {
        const at::Tensor values = importance[0][g][0].contiguous();
        const at::Tensor chosen = blocks[0][g][0].contiguous();
        result.importance.emplace_back(values.const_data_ptr<double>(),
                                       values.const_data_ptr<double>() + values.numel());
        result.blocks.emplace_back(chosen.const_data_ptr<std::int64_t>(),
                                   chosen.const_data_ptr<std::int64_t>() + chosen.numel());
    }
    result.rounding = importance_rounding(rows.q, rows.cmp.k, config);
    return result;
}

TrueOutput true_output(const SequenceRows& rows, const std::vector<std::vector<std::int64_t>>& blocks,
                       const NsaConfig& config) {
    const at::Tensor q = as_query(rows.q);
    const auto one = [](const at::Tensor& out) { return out[0].select(1, 0); };
    const at::Tensor cmp =
        one(reference::compressed_attention(q, as_batch(rows.cmp.k), as_batch(rows.cmp.v), config, rows.t));
    const at::Tensor sel = one(reference::selected_attention(q, as_batch(rows.sel.k), as_batch(rows.sel.v),
                                                             blocks_tensor(blocks), config, rows.t));
    const at::Tensor win = one(reference::sliding_attention(q, as_batch(rows.win.k), as_batch(rows.win.v),
                                                            config.w, config.scale(), rows.t));
    const double scale = config.scale();
    const KeysValues chosen = selected_of(rows, blocks, config.l_sel);
    return {.truth = gated(rows.gates.to(at::kDouble), cmp, sel, win),
            .plain = gated(rows.gates, plain_over(rows.q, rows.cmp, scale), plain_over(rows.q, chosen, scale),
                           plain_over(rows.q, window_of(rows, config.w), scale))};
}

}  // namespace nsa::core::parity
