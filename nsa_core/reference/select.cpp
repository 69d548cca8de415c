// The oracle's selection: importance of blocks (Eqs. 8-10) and the top n of them (Eqs. 11-12).
#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "nsa_core/reference.hpp"
#include "nsa_core/reference/attend.hpp"

namespace nsa::core::reference {
namespace {

std::int64_t count_blocks(std::int64_t length, std::int64_t l_sel) {
    std::int64_t count = 0;
    while (count * l_sel < length)
        ++count;
    return count;
}

// Eq. 9: p_slc[j] = sum over m < l'/d and n < l/d of p_cmp[j l'/d + m - n]. Piece j l'/d + m of d tokens lies
// in block j, and the tokens that reach over it are the l/d that begin at it or just before.
double importance_of_block(const std::vector<double>& p_cmp, std::int64_t j, const NsaConfig& c) {
    double sum = 0.0;
    for (std::int64_t m = 0; m < c.l_sel / c.d; ++m) {
        for (std::int64_t n = 0; n < c.l / c.d; ++n) {
            const std::int64_t i = j * (c.l_sel / c.d) + m - n;
            if (i >= 0 && i < static_cast<std::int64_t>(p_cmp.size()))
                sum += p_cmp[static_cast<std::size_t>(i)];
        }
    }
    return sum;
}

// Forced blocks first, then the most important of the rest, each time the lowest index among the largest.
std::vector<std::int64_t> pick_blocks(const Array& importance, std::int64_t b, std::int64_t g,
                                      std::int64_t query, const NsaConfig& c, std::int64_t first) {
    const std::int64_t own = (first + query) / c.l_sel;
    std::vector<bool> taken(static_cast<std::size_t>(importance.size(3)), false);
    std::vector<std::int64_t> picks;
    const auto take = [&](std::int64_t j) {
        if (j < 0 || j > own || taken[static_cast<std::size_t>(j)]) return;
        taken[static_cast<std::size_t>(j)] = true;
        picks.push_back(j);
    };
    for (std::int64_t j = 0; j < c.n_initial; ++j)
        take(j);
    for (std::int64_t back = 0; back < c.n_local; ++back)
        take(own - back);
    while (static_cast<std::int64_t>(picks.size()) < std::min(c.n, own + 1)) {
        std::int64_t best = -1;
        for (std::int64_t j = 0; j <= own; ++j) {
            if (taken[static_cast<std::size_t>(j)]) continue;
            if (best < 0 || importance.at(b, g, query, j) > importance.at(b, g, query, best)) best = j;
        }
        take(best);
    }
    std::ranges::sort(picks);
    return picks;
}

}  // namespace

at::Tensor block_importance(const at::Tensor& queries, const at::Tensor& keys, const NsaConfig& c,
                            std::int64_t first) {
    const Array q = from_tensor(queries);
    const Array k = from_tensor(keys);
    const CompressedVisible visible{.l = c.l, .d = c.d};
    const std::int64_t heads_per_group = q.size(1) / k.size(1);
    Array out{{q.size(0), k.size(1), q.size(2), count_blocks(first + q.size(2), c.l_sel)}};
    for (std::int64_t b = 0; b < q.size(0); ++b) {
        for (std::int64_t h = 0; h < q.size(1); ++h) {
            const std::int64_t g = h / heads_per_group;
            for (std::int64_t t = 0; t < q.size(2); ++t) {
                const std::vector<double> p_cmp = attention_weights(
                    q, k, b, h, g, t, c.scale(), [&](std::int64_t i) { return visible(first + t, i); });
                // Eq. 10: the heads of a group share their keys, so they add up.
                for (std::int64_t j = 0; j < out.size(3); ++j) {
                    out.at(b, g, t, j) += importance_of_block(p_cmp, j, c);
                }
            }
        }
    }
    return to_tensor(out);
}

at::Tensor select_blocks(const at::Tensor& importance_tensor, const NsaConfig& c, std::int64_t first) {
    const Array importance = from_tensor(importance_tensor);
    const std::int64_t width = std::min(c.n, importance.size(3));
    Array out{{importance.size(0), importance.size(1), importance.size(2), width}};
    for (std::int64_t b = 0; b < out.size(0); ++b) {
        for (std::int64_t g = 0; g < out.size(1); ++g) {
            for (std::int64_t t = 0; t < out.size(2); ++t) {
                const std::vector<std::int64_t> picks = pick_blocks(importance, b, g, t, c, first);
                for (std::int64_t slot = 0; slot < width; ++slot) {
                    const bool filled = slot < static_cast<std::int64_t>(picks.size());
                    out.at(b, g, t, slot) =
                        filled ? static_cast<double>(picks[static_cast<std::size_t>(slot)]) : -1.0;
                }
            }
        }
    }
    return to_tensor(out).to(at::kLong);
}

}  // namespace nsa::core::reference
