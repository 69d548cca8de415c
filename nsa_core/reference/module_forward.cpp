// The oracle's whole layer: projections, rotary positions, compression, branches, gate (Eq. 5) and output.
#include <ATen/ATen.h>

#include <cmath>
#include <string>

#include "nsa_core/errors.hpp"
#include "nsa_core/reference.hpp"
#include "nsa_core/reference/array.hpp"

namespace nsa::core::reference {
namespace {

class Weights {
  public:
    explicit Weights(const std::vector<NamedTensor>& parameters) : parameters_(parameters) {}

    [[nodiscard]] Array get(const std::string& name) const {
        for (const NamedTensor& parameter : parameters_) {
            if (parameter.name == name) return from_tensor(parameter.tensor);
        }
        throw InputError("the oracle needs the parameter " + name + ", and it was not given");
    }

  private:
    const std::vector<NamedTensor>& parameters_;
};

// y = x W^T + bias on the last dimension; W is [1,1,out,in], bias [1,1,1,out] or null.
Array linear(const Array& x, const Array& weight, const Array* bias) {
    Array y{{x.size(0), x.size(1), x.size(2), weight.size(2)}};
    for (std::int64_t a = 0; a < y.size(0); ++a) {
        for (std::int64_t b = 0; b < y.size(1); ++b) {
            for (std::int64_t r = 0; r < y.size(2); ++r) {
                for (std::int64_t o = 0; o < y.size(3); ++o) {
                    double sum = bias ? bias->at(0, 0, 0, o) : 0.0;
                    for (std::int64_t i = 0; i < x.size(3); ++i)
                        sum += x.at(a, b, r, i) * weight.at(0, 0, o, i);
                    y.at(a, b, r, o) = sum;
                }
            }
        }
    }
    return y;
}

double sigmoid(double x) {
    return 1.0 / (1.0 + std::exp(-x));
}

Array silu(Array x) {
    const std::int64_t count = x.size(0) * x.size(1) * x.size(2) * x.size(3);
    for (std::int64_t i = 0; i < count; ++i)
        x.data()[i] *= sigmoid(x.data()[i]);
    return x;
}

// [1,B,S,heads*width] -> [B,heads,S,width].
Array split_heads(const Array& rows, std::int64_t heads) {
    const std::int64_t width = rows.size(3) / heads;
    Array out{{rows.size(1), heads, rows.size(2), width}};
    for (std::int64_t b = 0; b < out.size(0); ++b) {
        for (std::int64_t h = 0; h < heads; ++h) {
            for (std::int64_t t = 0; t < out.size(2); ++t) {
                for (std::int64_t c = 0; c < width; ++c)
                    out.at(b, h, t, c) = rows.at(0, b, t, h * width + c);
            }
        }
    }
    return out;
}

// Component pair (c, c + dk/2) at position t turns by t base^(-2c/dk).
Array rotate(Array x, const NsaConfig& config) {
    if (!config.rope) return x;
    const std::int64_t half = x.size(3) / 2;
    for (std::int64_t b = 0; b < x.size(0); ++b) {
        for (std::int64_t h = 0; h < x.size(1); ++h) {
            for (std::int64_t t = 0; t < x.size(2); ++t) {
                for (std::int64_t c = 0; c < half; ++c) {
                    const double exponent = -2.0 * static_cast<double>(c) / static_cast<double>(x.size(3));
                    const double angle = static_cast<double>(t) * std::pow(config.rope_base, exponent);
                    const double low = x.at(b, h, t, c);
                    const double high = x.at(b, h, t, c + half);
                    x.at(b, h, t, c) = low * std::cos(angle) - high * std::sin(angle);
                    x.at(b, h, t, c + half) = high * std::cos(angle) + low * std::sin(angle);
                }
            }
        }
    }
    return x;
}

// Learnable phi: each block of l rows, with its positions added, laid out as one row for the MLP.
Array compress_mlp(const Array& rows, const Weights& weights, const std::string& phi,
                   const NsaConfig& config) {
    const Array position = weights.get(phi + ".position");
    std::int64_t count = 0;
    while (count * config.d + config.l <= rows.size(2))
        ++count;
    Array blocks{{rows.size(0), rows.size(1), count, config.l * rows.size(3)}};
    for (std::int64_t b = 0; b < rows.size(0); ++b) {
        for (std::int64_t g = 0; g < rows.size(1); ++g) {
            for (std::int64_t i = 0; i < count; ++i) {
                for (std::int64_t s = 0; s < config.l; ++s) {
                    for (std::int64_t c = 0; c < rows.size(3); ++c) {
                        blocks.at(b, g, i, s * rows.size(3) + c) =
                            rows.at(b, g, i * config.d + s, c) + position.at(0, 0, s, c);
                    }
                }
            }
        }
    }
    const Array b1 = weights.get(phi + ".b1");
    const Array b2 = weights.get(phi + ".b2");
    return linear(silu(linear(blocks, weights.get(phi + ".w1"), &b1)), weights.get(phi + ".w2"), &b2);
}

at::Tensor compress(const Array& rows, const Weights& weights, const std::string& phi,
                    const NsaConfig& config) {
    if (config.compressor == Compressor::kMlp) return to_tensor(compress_mlp(rows, weights, phi, config));
    return compress_mean(to_tensor(rows), config.l, config.d);
}

// The three gates of one token and head.
std::array<double, 3> gate_values(const Array& logits, std::int64_t b, std::int64_t t, std::int64_t h,
                                  GateKind kind) {
    std::array<double, 3> gate{};
    double sum = 0.0;
    for (std::size_t i = 0; i < 3; ++i) {
        const double logit = logits.at(0, b, t, 3 * h + static_cast<std::int64_t>(i));
        gate[i] = kind == GateKind::kSigmoid ? sigmoid(logit) : std::exp(logit);
        sum += gate[i];
    }
    if (kind == GateKind::kSoftmax) {
        for (double& value : gate)
            value /= sum;
    }
    return gate;
}

// Eq. 5 and the output projection.
at::Tensor combine(const Array& x, const ModuleResult& r, const Weights& weights, const NsaConfig& config) {
    const Array b1 = weights.get("gate_b1");
    const Array b2 = weights.get("gate_b2");
    const Array logits = linear(silu(linear(x, weights.get("gate_w1"), &b1)), weights.get("gate_w2"), &b2);
    const Array cmp = from_tensor(r.cmp);
    const Array sel = from_tensor(r.sel);
    const Array win = from_tensor(r.win);
    Array mixed{{1, x.size(1), x.size(2), config.heads * config.dv}};
    for (std::int64_t b = 0; b < x.size(1); ++b) {
        for (std::int64_t t = 0; t < x.size(2); ++t) {
            for (std::int64_t h = 0; h < config.heads; ++h) {
                const std::array<double, 3> gate = gate_values(logits, b, t, h, config.gate);
                for (std::int64_t c = 0; c < config.dv; ++c) {
                    mixed.at(0, b, t, h * config.dv + c) = gate[0] * cmp.at(b, h, t, c) +
                                                           gate[1] * sel.at(b, h, t, c) +
                                                           gate[2] * win.at(b, h, t, c);
                }
            }
        }
    }
    return to_tensor(linear(mixed, weights.get("wo"), nullptr)).squeeze(0);
}

}  // namespace

ModuleResult module_forward(const NsaConfig& config, const std::vector<NamedTensor>& parameters,
                            const at::Tensor& input) {
    const Weights weights{parameters};
    const Array x = from_tensor(input);  // [1,B,S,dim]
    const auto project = [&](const char* name, std::int64_t heads) {
        return split_heads(linear(x, weights.get(name), nullptr), heads);
    };
    const at::Tensor q = to_tensor(rotate(project("wq", config.heads), config));
    const at::Tensor k_cmp =
        compress(rotate(project("wk_cmp", config.groups), config), weights, "phi_k", config);
    const at::Tensor v_cmp = compress(project("wv_cmp", config.groups), weights, "phi_v", config);
    const at::Tensor k_sel = to_tensor(rotate(project("wk_sel", config.groups), config));
    const at::Tensor k_win = to_tensor(rotate(project("wk_win", config.groups), config));

    ModuleResult r;
    r.importance = block_importance(q, k_cmp, config);
    r.blocks = select_blocks(r.importance, config);
    r.cmp = compressed_attention(q, k_cmp, v_cmp, config);
    r.sel = selected_attention(q, k_sel, to_tensor(project("wv_sel", config.groups)), r.blocks, config);
    r.win =
        sliding_attention(q, k_win, to_tensor(project("wv_win", config.groups)), config.w, config.scale());
    r.out = combine(x, r, weights, config);
    return r;
}

}  // namespace nsa::core::reference
