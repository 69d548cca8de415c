#include "nsa_core/reference/layer.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <utility>

#include "nsa_core/errors.hpp"
#include "nsa_core/reference.hpp"

namespace nsa::core::reference {

Array Weights::get(const std::string& name) const {
    for (const NamedTensor& parameter : parameters_) {
        if (parameter.name == name) return from_tensor(parameter.tensor);
    }
    throw InputError("the oracle needs the parameter " + name + ", and it was not given");
}

double sigmoid(double x) {
    return 1.0 / (1.0 + std::exp(-x));
}

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

Mlp mlp(const Array& x, const Weights& weights, const std::string& prefix) {
    const Array b1 = weights.get(prefix + "b1");
    const Array b2 = weights.get(prefix + "b2");
    Array before = linear(x, weights.get(prefix + "w1"), &b1);
    Array hidden = before;
    for (std::int64_t i = 0; i < hidden.count(); ++i)
        hidden.data()[i] *= sigmoid(before.data()[i]);
    Array out = linear(hidden, weights.get(prefix + "w2"), &b2);
    return {.before = std::move(before), .hidden = std::move(hidden), .out = std::move(out)};
}

Array split_heads(const Array& tokens, std::int64_t heads) {
    const std::int64_t width = tokens.size(3) / heads;
    Array out{{tokens.size(1), heads, tokens.size(2), width}};
    for (std::int64_t b = 0; b < out.size(0); ++b) {
        for (std::int64_t h = 0; h < heads; ++h) {
            for (std::int64_t t = 0; t < out.size(2); ++t) {
                for (std::int64_t c = 0; c < width; ++c)
                    out.at(b, h, t, c) = tokens.at(0, b, t, h * width + c);
            }
        }
    }
    return out;
}

Array merge_heads(const Array& rows) {
    const std::int64_t width = rows.size(3);
    Array out{{1, rows.size(0), rows.size(2), rows.size(1) * width}};
    for (std::int64_t b = 0; b < rows.size(0); ++b) {
        for (std::int64_t h = 0; h < rows.size(1); ++h) {
            for (std::int64_t t = 0; t < rows.size(2); ++t) {
                for (std::int64_t c = 0; c < width; ++c)
                    out.at(0, b, t, h * width + c) = rows.at(b, h, t, c);
            }
        }
    }
    return out;
}

Array rotate(Array x, const NsaConfig& config, double turn) {
    if (!config.rope) return x;
    const std::int64_t half = x.size(3) / 2;
    for (std::int64_t b = 0; b < x.size(0); ++b) {
        for (std::int64_t h = 0; h < x.size(1); ++h) {
            for (std::int64_t t = 0; t < x.size(2); ++t) {
                for (std::int64_t c = 0; c < half; ++c) {
                    const double exponent = -2.0 * static_cast<double>(c) / static_cast<double>(x.size(3));
                    const double angle = turn * static_cast<double>(t) * std::pow(config.rope_base, exponent);
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

Array phi_blocks(const Array& rows, const Array& position, const NsaConfig& config) {
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
    return blocks;
}

at::Tensor compress(const Array& rows, const Weights& weights, const std::string& phi,
                    const NsaConfig& config) {
    if (config.compressor == Compressor::kMean) return compress_mean(to_tensor(rows), config.l, config.d);
    const Array blocks = phi_blocks(rows, weights.get(phi + ".position"), config);
    return to_tensor(mlp(blocks, weights, phi + ".").out);
}

namespace {

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

}  // namespace

Array gates_of(const Array& logits, const NsaConfig& config, std::optional<Branch> only) {
    Array gates{{logits.size(1), logits.size(2), config.heads, 3}};
    for (std::int64_t b = 0; b < gates.size(0); ++b) {
        for (std::int64_t t = 0; t < gates.size(1); ++t) {
            for (std::int64_t h = 0; h < gates.size(2); ++h) {
                std::array<double, 3> gate{};
                if (only) {
                    gate[static_cast<std::size_t>(*only)] = 1.0;
                } else {
                    gate = gate_values(logits, b, t, h, config.gate);
                }
                for (std::size_t i = 0; i < 3; ++i)
                    gates.at(b, t, h, static_cast<std::int64_t>(i)) = gate[i];
            }
        }
    }
    return gates;
}

Array gated_sum(const Array& gates, const std::array<Array, 3>& branches) {
    const std::int64_t width = branches[0].size(3);
    Array sum{{1, gates.size(0), gates.size(1), gates.size(2) * width}};
    for (std::int64_t b = 0; b < gates.size(0); ++b) {
        for (std::int64_t t = 0; t < gates.size(1); ++t) {
            for (std::int64_t h = 0; h < gates.size(2); ++h) {
                for (std::int64_t c = 0; c < width; ++c) {
                    for (std::size_t i = 0; i < 3; ++i) {
                        sum.at(0, b, t, h * width + c) +=
                            gates.at(b, t, h, static_cast<std::int64_t>(i)) * branches[i].at(b, h, t, c);
                    }
                }
            }
        }
    }
    return sum;
}

}  // namespace nsa::core::reference
