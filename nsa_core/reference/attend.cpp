// The oracle's branches: compression (Eq. 7), compressed, selected and sliding attention.
#include "nsa_core/reference/attend.hpp"

#include <ATen/ATen.h>

#include "nsa_core/reference.hpp"

namespace nsa::core::reference {

at::Tensor full_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale) {
    return to_tensor(attend(from_tensor(q), from_tensor(k), from_tensor(v), scale,
                            [](auto, auto, std::int64_t t, std::int64_t s) { return s <= t; }));
}

at::Tensor sliding_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t w,
                             double scale, std::int64_t first) {
    const SlidingVisible visible{.w = w};
    return to_tensor(
        attend(from_tensor(q), from_tensor(k), from_tensor(v), scale,
               [&](auto, auto, std::int64_t query, std::int64_t s) { return visible(first + query, s); }));
}

at::Tensor first_key_of_window(const at::Tensor& values, std::int64_t heads, std::int64_t w) {
    const Array v = from_tensor(values);
    const std::int64_t heads_per_group = heads / v.size(1);
    Array out{{v.size(0), heads, v.size(2), v.size(3)}};
    for (std::int64_t b = 0; b < v.size(0); ++b) {
        for (std::int64_t h = 0; h < heads; ++h) {
            for (std::int64_t t = 0; t < v.size(2); ++t) {
                const std::int64_t first = t < w ? 0 : t - w + 1;
                for (std::int64_t c = 0; c < v.size(3); ++c) {
                    out.at(b, h, t, c) = v.at(b, h / heads_per_group, first, c);
                }
            }
        }
    }
    return to_tensor(out);
}

at::Tensor compress_mean(const at::Tensor& rows, std::int64_t l, std::int64_t d) {
    const Array x = from_tensor(rows);
    // Eq. 7 with phi = mean: one token per full block [i d, i d + l).
    std::int64_t count = 0;
    while (count * d + l <= x.size(2))
        ++count;
    Array out{{x.size(0), x.size(1), count, x.size(3)}};
    for (std::int64_t b = 0; b < x.size(0); ++b) {
        for (std::int64_t g = 0; g < x.size(1); ++g) {
            for (std::int64_t i = 0; i < count; ++i) {
                for (std::int64_t c = 0; c < x.size(3); ++c) {
                    double sum = 0.0;
                    for (std::int64_t s = i * d; s < i * d + l; ++s)
                        sum += x.at(b, g, s, c);
                    out.at(b, g, i, c) = sum / static_cast<double>(l);
                }
            }
        }
    }
    return to_tensor(out);
}

at::Tensor compressed_attention(const at::Tensor& q, const at::Tensor& k_cmp, const at::Tensor& v_cmp,
                                const NsaConfig& config, std::int64_t first) {
    const CompressedVisible visible{.l = config.l, .d = config.d};
    return to_tensor(
        attend(from_tensor(q), from_tensor(k_cmp), from_tensor(v_cmp), config.scale(),
               [&](auto, auto, std::int64_t query, std::int64_t i) { return visible(first + query, i); }));
}

at::Tensor selected_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const at::Tensor& blocks, const NsaConfig& config, std::int64_t first) {
    const SelectedVisible visible{.picked = from_tensor(blocks), .l_sel = config.l_sel};  // exact in fp64
    return to_tensor(attend(from_tensor(q), from_tensor(k), from_tensor(v), config.scale(),
                            [&](std::int64_t b, std::int64_t g, std::int64_t query, std::int64_t s) {
                                return visible(b, g, query, first + query, s);
                            }));
}

}  // namespace nsa::core::reference
