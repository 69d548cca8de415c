// The gradients of the oracle's layer, by the chain rule written out. With W^T dy = dx, dy x^T = dW for each
// projection, s = sigmoid(z):
//   gate:  sigmoid  dz_i = g_i (1 - g_i) dg_i;   softmax  dz_i = g_i (dg_i - sum_j g_j dg_j)
//   MLP:   d(z s) = s (1 + z (1 - s)) dz
//   rope:  a rotation, so its transpose turns back.
// Which blocks are selected has no gradient.
#include <ATen/ATen.h>

#include "nsa_core/reference.hpp"
#include "nsa_core/reference/layer.hpp"

namespace nsa::core::reference {
namespace {

Array zeros_like(const Array& a) {
    return Array{{a.size(0), a.size(1), a.size(2), a.size(3)}};
}

void add(Array& sum, const Array& part) {
    for (std::int64_t i = 0; i < sum.count(); ++i)
        sum.data()[i] += part.data()[i];
}

// The gradients of the parameters as they add up.
class WeightSums {
  public:
    explicit WeightSums(const std::vector<NamedTensor>& parameters) : parameters_(parameters) {
        for (const NamedTensor& parameter : parameters)
            sums_.push_back(zeros_like(from_tensor(parameter.tensor)));
    }

    // Of a name that Weights has.
    [[nodiscard]] Array& get(const std::string& name) {
        std::size_t i = 0;
        while (parameters_.at(i).name != name)
            ++i;
        return sums_[i];
    }
    [[nodiscard]] std::vector<NamedTensor> tensors() const {
        std::vector<NamedTensor> all;
        for (std::size_t i = 0; i < sums_.size(); ++i)
            all.push_back({parameters_[i].name, to_tensor(sums_[i]).view(parameters_[i].tensor.sizes())});
        return all;
    }

  private:
    const std::vector<NamedTensor>& parameters_;
    std::vector<Array> sums_;
};

class Backward {
  public:
    Backward(const NsaConfig& config, const std::vector<NamedTensor>& parameters, const at::Tensor& input)
        : config_{config},
          weights_{parameters},
          x_{from_tensor(input)},
          d_x_{zeros_like(x_)},
          d_w_{parameters} {}

    [[nodiscard]] Array project(const std::string& name, std::int64_t heads, bool rotated) const {
        const Array rows = split_heads(linear(x_, weights_.get(name), nullptr), heads);
        return rotated ? rotate(rows, config_) : rows;
    }
    void add_projection(const std::string& name, const Array& d_rows, bool rotated) {
        const Array d_tokens = merge_heads(rotated ? rotate(d_rows, config_, -1) : d_rows);
        add_linear(x_, name, d_tokens, d_x_);
    }

    [[nodiscard]] at::Tensor compress(const Array& rows, const std::string& phi) const {
        return reference::compress(rows, weights_, phi, config_);
    }
    [[nodiscard]] Array compress_backward(const Array& rows, const std::string& phi,
                                          const at::Tensor& d_tokens);

    // Of the three branches' outputs, from that of the layer's.
    [[nodiscard]] std::array<Array, 3> combine_backward(const std::array<Array, 3>& branches,
                                                        const Array& d_out, std::optional<Branch> only);

    [[nodiscard]] ModuleGradients gradients() const {
        return {.x = to_tensor(d_x_).squeeze(0), .weights = d_w_.tensors()};
    }

  private:
    // Of linear(x, NAME): adds to those of x and of the matrix.
    void add_linear(const Array& x, const std::string& name, const Array& d_y, Array& d_x);
    void add_bias(const std::string& name, const Array& d_y);
    // Of m = mlp(x, PREFIX): adds to those of x and of the four parameters.
    void add_mlp(const Mlp& m, const Array& x, const std::string& prefix, const Array& d_y, Array& d_x);

    const NsaConfig& config_;
    Weights weights_;
    Array x_;
    Array d_x_;
    WeightSums d_w_;
};

void Backward::add_linear(const Array& x, const std::string& name, const Array& d_y, Array& d_x) {
    const Array weight = weights_.get(name);
    Array& d_weight = d_w_.get(name);
    for (std::int64_t a = 0; a < d_y.size(0); ++a) {
        for (std::int64_t b = 0; b < d_y.size(1); ++b) {
            for (std::int64_t r = 0; r < d_y.size(2); ++r) {
                for (std::int64_t o = 0; o < d_y.size(3); ++o) {
                    const double d = d_y.at(a, b, r, o);
                    for (std::int64_t i = 0; i < x.size(3); ++i) {
                        d_x.at(a, b, r, i) += d * weight.at(0, 0, o, i);
                        d_weight.at(0, 0, o, i) += d * x.at(a, b, r, i);
                    }
                }
            }
        }
    }
}

void Backward::add_bias(const std::string& name, const Array& d_y) {
    Array& d_bias = d_w_.get(name);
    const std::int64_t width = d_y.size(3);
    for (std::int64_t i = 0; i < d_y.count(); ++i)
        d_bias.at(0, 0, 0, i % width) += d_y.data()[i];
}

void Backward::add_mlp(const Mlp& m, const Array& x, const std::string& prefix, const Array& d_y,
                       Array& d_x) {
    Array d_hidden = zeros_like(m.hidden);
    add_linear(m.hidden, prefix + "w2", d_y, d_hidden);
    add_bias(prefix + "b2", d_y);
    for (std::int64_t i = 0; i < d_hidden.count(); ++i) {
        const double z = m.before.data()[i];
        d_hidden.data()[i] *= sigmoid(z) * (1.0 + z * (1.0 - sigmoid(z)));
    }
    add_linear(x, prefix + "w1", d_hidden, d_x);
    add_bias(prefix + "b1", d_hidden);
}

Array Backward::compress_backward(const Array& rows, const std::string& phi, const at::Tensor& d_tokens) {
    if (config_.compressor == Compressor::kMean)
        return from_tensor(compress_mean_gradient(d_tokens, rows.size(2), config_.l, config_.d));
    const Array blocks = phi_blocks(rows, weights_.get(phi + ".position"), config_);
    Array d_blocks = zeros_like(blocks);
    add_mlp(mlp(blocks, weights_, phi + "."), blocks, phi + ".", from_tensor(d_tokens), d_blocks);
    Array d_rows = zeros_like(rows);
    Array& d_position = d_w_.get(phi + ".position");
    for (std::int64_t b = 0; b < blocks.size(0); ++b) {
        for (std::int64_t g = 0; g < blocks.size(1); ++g) {
            for (std::int64_t i = 0; i < blocks.size(2); ++i) {
                for (std::int64_t s = 0; s < config_.l; ++s) {
                    for (std::int64_t c = 0; c < rows.size(3); ++c) {
                        const double d = d_blocks.at(b, g, i, s * rows.size(3) + c);
                        d_rows.at(b, g, i * config_.d + s, c) += d;
                        d_position.at(0, 0, s, c) += d;
                    }
                }
            }
        }
    }
    return d_rows;
}

// [1,B,S,3H], of the logits of gates [B,S,H,3].
Array gate_backward(const Array& gates, const Array& d_gates, GateKind kind) {
    Array d_logits{{1, gates.size(0), gates.size(1), 3 * gates.size(2)}};
    for (std::int64_t b = 0; b < gates.size(0); ++b) {
        for (std::int64_t t = 0; t < gates.size(1); ++t) {
            for (std::int64_t h = 0; h < gates.size(2); ++h) {
                double weighted = 0.0;
                for (std::int64_t i = 0; i < 3; ++i)
                    weighted += gates.at(b, t, h, i) * d_gates.at(b, t, h, i);
                for (std::int64_t i = 0; i < 3; ++i) {
                    const double g = gates.at(b, t, h, i);
                    const double d = d_gates.at(b, t, h, i);
                    d_logits.at(0, b, t, 3 * h + i) =
                        kind == GateKind::kSigmoid ? g * (1.0 - g) * d : g * (d - weighted);
                }
            }
        }
    }
    return d_logits;
}

std::array<Array, 3> Backward::combine_backward(const std::array<Array, 3>& branches, const Array& d_out,
                                                std::optional<Branch> only) {
    const Mlp gate = mlp(x_, weights_, "gate_");
    const Array gates = gates_of(gate.out, config_, only);
    const Array mixed = gated_sum(gates, branches);
    Array d_mixed = zeros_like(mixed);
    add_linear(mixed, "wo", d_out, d_mixed);
    const Array d_heads = split_heads(d_mixed, config_.heads);
    std::array<Array, 3> d_branches{zeros_like(d_heads), zeros_like(d_heads), zeros_like(d_heads)};
    Array d_gates = zeros_like(gates);
    for (std::int64_t b = 0; b < gates.size(0); ++b) {
        for (std::int64_t t = 0; t < gates.size(1); ++t) {
            for (std::int64_t h = 0; h < gates.size(2); ++h) {
                for (std::int64_t i = 0; i < 3; ++i) {
                    const auto branch = static_cast<std::size_t>(i);
                    for (std::int64_t c = 0; c < config_.dv; ++c) {
                        const double d = d_heads.at(b, h, t, c);
                        d_branches[branch].at(b, h, t, c) = gates.at(b, t, h, i) * d;
                        d_gates.at(b, t, h, i) += branches[branch].at(b, h, t, c) * d;
                    }
                }
            }
        }
    }
    if (!only) add_mlp(gate, x_, "gate_", gate_backward(gates, d_gates, config_.gate), d_x_);
    return d_branches;
}

}  // namespace

ModuleGradients module_backward(const NsaConfig& config, const std::vector<NamedTensor>& parameters,
                                const at::Tensor& input, const at::Tensor& blocks, const at::Tensor& d_out,
                                std::optional<Branch> only) {
    Backward layer{config, parameters, input};
    const auto rows = [&](const char* name, bool key) { return layer.project(name, config.groups, key); };
    const at::Tensor q = to_tensor(layer.project("wq", config.heads, true));
    const Array k_raw = rows("wk_cmp", true), v_raw = rows("wv_cmp", false);
    const at::Tensor k_cmp = layer.compress(k_raw, "phi_k"), v_cmp = layer.compress(v_raw, "phi_v");
    const at::Tensor k_sel = to_tensor(rows("wk_sel", true)), v_sel = to_tensor(rows("wv_sel", false));
    const at::Tensor k_win = to_tensor(rows("wk_win", true)), v_win = to_tensor(rows("wv_win", false));

    const std::array<Array, 3> d =
        layer.combine_backward({from_tensor(compressed_attention(q, k_cmp, v_cmp, config)),
                                from_tensor(selected_attention(q, k_sel, v_sel, blocks, config)),
                                from_tensor(sliding_attention(q, k_win, v_win, config.w, config.scale()))},
                               from_tensor(d_out), only);
    const Gradients cmp = compressed_gradients(q, k_cmp, v_cmp, config, to_tensor(d[0]));
    const Gradients sel = selected_gradients(q, k_sel, v_sel, blocks, config, to_tensor(d[1]));
    const Gradients win = sliding_gradients(q, k_win, v_win, config.w, config.scale(), to_tensor(d[2]));

    Array d_q = from_tensor(cmp.q);
    add(d_q, from_tensor(sel.q));
    add(d_q, from_tensor(win.q));
    layer.add_projection("wq", d_q, true);
    layer.add_projection("wk_cmp", layer.compress_backward(k_raw, "phi_k", cmp.k), true);
    layer.add_projection("wv_cmp", layer.compress_backward(v_raw, "phi_v", cmp.v), false);
    layer.add_projection("wk_sel", from_tensor(sel.k), true);
    layer.add_projection("wv_sel", from_tensor(sel.v), false);
    layer.add_projection("wk_win", from_tensor(win.k), true);
    layer.add_projection("wv_win", from_tensor(win.v), false);
    return layer.gradients();
}

}  // namespace nsa::core::reference
