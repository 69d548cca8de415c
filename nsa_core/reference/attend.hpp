// Softmax attention with an explicit mask, one query after another.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "nsa_core/reference/array.hpp"

namespace nsa::core::reference {

/// softmax(scale q_t . k_s) over the keys s with visible(s); others hold 0. All zero when nothing is visible.
template <class Visible>
std::vector<double> attention_weights(const Array& q, const Array& k, std::int64_t b, std::int64_t h,
                                      std::int64_t g, std::int64_t t, double scale, const Visible& visible) {
    std::vector<double> weights(static_cast<std::size_t>(k.size(2)), 0.0);
    std::vector<std::int64_t> seen;
    double largest = -std::numeric_limits<double>::infinity();
    for (std::int64_t s = 0; s < k.size(2); ++s) {
        if (!visible(s)) continue;
        double score = 0.0;
        for (std::int64_t c = 0; c < q.size(3); ++c)
            score += q.at(b, h, t, c) * k.at(b, g, s, c);
        weights[static_cast<std::size_t>(s)] = score * scale;
        largest = std::max(largest, score * scale);
        seen.push_back(s);
    }
    double sum = 0.0;
    for (const std::int64_t s : seen) {
        double& weight = weights[static_cast<std::size_t>(s)];
        weight = std::exp(weight - largest);
        sum += weight;
    }
    for (const std::int64_t s : seen)
        weights[static_cast<std::size_t>(s)] /= sum;
    return weights;
}

/// Attention of every query: [B,H,S,dv]. Head h reads the keys of group h / (H/G). visible(b, g, t, s).
template <class Visible>
Array attend(const Array& q, const Array& k, const Array& v, double scale, const Visible& visible) {
    const std::int64_t heads_per_group = q.size(1) / k.size(1);
    Array out{{q.size(0), q.size(1), q.size(2), v.size(3)}};
    for (std::int64_t b = 0; b < q.size(0); ++b) {
        for (std::int64_t h = 0; h < q.size(1); ++h) {
            const std::int64_t g = h / heads_per_group;
            for (std::int64_t t = 0; t < q.size(2); ++t) {
                const auto seen = [&](std::int64_t s) { return visible(b, g, t, s); };
                const std::vector<double> weights = attention_weights(q, k, b, h, g, t, scale, seen);
                for (std::int64_t s = 0; s < k.size(2); ++s) {
                    if (!seen(s)) continue;
                    for (std::int64_t c = 0; c < v.size(3); ++c) {
                        out.at(b, h, t, c) += weights[static_cast<std::size_t>(s)] * v.at(b, g, s, c);
                    }
                }
            }
        }
    }
    return out;
}

/// A compressed token may be seen once the last of its l raw tokens has been: no part of it lies after t.
struct CompressedVisible {
    std::int64_t l;
    std::int64_t d;
    bool operator()(std::int64_t t, std::int64_t i) const { return i * d + l - 1 <= t; }
};

/// Section 3.3.3: the w most recent tokens, the query's own among them.
struct SlidingVisible {
    std::int64_t w;
    bool operator()(std::int64_t t, std::int64_t s) const { return s <= t && s > t - w; }
};

/// Tokens up to t of the blocks that `query` of (b, g) picked; `picked` [B,G,queries,n], -1 for none.
struct SelectedVisible {
    Array picked;
    std::int64_t l_sel;
    bool operator()(std::int64_t b, std::int64_t g, std::int64_t query, std::int64_t t,
                    std::int64_t s) const {
        if (s > t) return false;
        for (std::int64_t pick = 0; pick < picked.size(3); ++pick) {
            const double begin = picked.at(b, g, query, pick) * static_cast<double>(l_sel);
            if (begin >= 0 && static_cast<double>(s) >= begin &&
                static_cast<double>(s) < begin + static_cast<double>(l_sel)) {
                return true;
            }
        }
        return false;
    }
};

}  // namespace nsa::core::reference
