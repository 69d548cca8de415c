// The oracle's gradients. With P the weights of a query and o its output:
//   dv_s = P_s do,  dS_s = P_s (do . v_s - do . o),  dq = scale dS_s k_s,  dk_s = scale dS_s q,
// summed over the keys s for dq, and over the queries of a group's heads for dk and dv.
#include <ATen/ATen.h>

#include "nsa_core/reference.hpp"
#include "nsa_core/reference/attend.hpp"

namespace nsa::core::reference {
namespace {

struct Problem {
    Array q;
    Array k;
    Array v;
    Array d_out;
    double scale;
};

struct Sums {
    Array q;
    Array k;
    Array v;
};

double row_product(const Array& a, std::int64_t a_head, std::int64_t a_row, const Array& b,
                   std::int64_t b_head, std::int64_t b_row, std::int64_t batch) {
    double sum = 0.0;
    for (std::int64_t c = 0; c < a.size(3); ++c)
        sum += a.at(batch, a_head, a_row, c) * b.at(batch, b_head, b_row, c);
    return sum;
}

// Adds what query (b, h, t) contributes.
void add_query(const Problem& p, const std::vector<double>& weights, std::int64_t b, std::int64_t h,
               std::int64_t g, std::int64_t t, Sums& d) {
    const std::int64_t keys = p.k.size(2);
    std::vector<double> d_weight(weights.size());
    double mean = 0.0;  // do . o
    for (std::int64_t s = 0; s < keys; ++s) {
        const auto i = static_cast<std::size_t>(s);
        if (weights[i] == 0.0) continue;  // not seen: adds nothing
        d_weight[i] = row_product(p.d_out, h, t, p.v, g, s, b);
        mean += weights[i] * d_weight[i];
    }
    for (std::int64_t s = 0; s < keys; ++s) {
        const auto i = static_cast<std::size_t>(s);
        if (weights[i] == 0.0) continue;
        const double d_score = weights[i] * (d_weight[i] - mean) * p.scale;
        for (std::int64_t c = 0; c < p.q.size(3); ++c) {
            d.q.at(b, h, t, c) += d_score * p.k.at(b, g, s, c);
            d.k.at(b, g, s, c) += d_score * p.q.at(b, h, t, c);
        }
        for (std::int64_t c = 0; c < p.v.size(3); ++c)
            d.v.at(b, g, s, c) += weights[i] * p.d_out.at(b, h, t, c);
    }
}

// visible(b, g, t, s), as for attend().
template <class Visible>
Gradients gradients(const Problem& p, const Visible& visible) {
    const auto zeros_like = [](const Array& a) {
        return Array{{a.size(0), a.size(1), a.size(2), a.size(3)}};
    };
    Sums d{.q = zeros_like(p.q), .k = zeros_like(p.k), .v = zeros_like(p.v)};
    const std::int64_t heads_per_group = p.q.size(1) / p.k.size(1);
    for (std::int64_t b = 0; b < p.q.size(0); ++b) {
        for (std::int64_t h = 0; h < p.q.size(1); ++h) {
            const std::int64_t g = h / heads_per_group;
            for (std::int64_t t = 0; t < p.q.size(2); ++t) {
                const auto seen = [&](std::int64_t s) { return visible(b, g, t, s); };
                add_query(p, attention_weights(p.q, p.k, b, h, g, t, p.scale, seen), b, h, g, t, d);
            }
        }
    }
    return {.q = to_tensor(d.q), .k = to_tensor(d.k), .v = to_tensor(d.v)};
}

Problem problem(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& d_out,
                double scale) {
    return {.q = from_tensor(q),
            .k = from_tensor(k),
            .v = from_tensor(v),
            .d_out = from_tensor(d_out),
            .scale = scale};
}

}  // namespace

Gradients sliding_gradients(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t w,
                            double scale, const at::Tensor& d_out) {
    const SlidingVisible visible{.w = w};
    return gradients(problem(q, k, v, d_out, scale),
                     [&](auto, auto, std::int64_t t, std::int64_t s) { return visible(t, s); });
}

Gradients compressed_gradients(const at::Tensor& q, const at::Tensor& k_cmp, const at::Tensor& v_cmp,
                               const NsaConfig& config, const at::Tensor& d_out) {
    const CompressedVisible visible{.l = config.l, .d = config.d};
    return gradients(problem(q, k_cmp, v_cmp, d_out, config.scale()),
                     [&](auto, auto, std::int64_t t, std::int64_t i) { return visible(t, i); });
}

Gradients selected_gradients(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             const at::Tensor& blocks, const NsaConfig& config, const at::Tensor& d_out) {
    const SelectedVisible visible{.picked = from_tensor(blocks), .l_sel = config.l_sel};
    return gradients(problem(q, k, v, d_out, config.scale()),
                     [&](std::int64_t b, std::int64_t g, std::int64_t t, std::int64_t s) {
                         return visible(b, g, t, t, s);
                     });
}

at::Tensor compress_mean_gradient(const at::Tensor& d_tokens, std::int64_t length, std::int64_t l,
                                  std::int64_t d) {
    const Array from = from_tensor(d_tokens);
    Array rows{{from.size(0), from.size(1), length, from.size(3)}};
    for (std::int64_t b = 0; b < from.size(0); ++b) {
        for (std::int64_t g = 0; g < from.size(1); ++g) {
            for (std::int64_t i = 0; i < from.size(2); ++i) {
                for (std::int64_t s = i * d; s < i * d + l; ++s) {
                    for (std::int64_t c = 0; c < from.size(3); ++c)
                        rows.at(b, g, s, c) += from.at(b, g, i, c) / static_cast<double>(l);
                }
            }
        }
    }
    return to_tensor(rows);
}

}  // namespace nsa::core::reference
