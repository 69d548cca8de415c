#include "nsa_core/src/parameters.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <string>

namespace nsa::core {
namespace {

/// Draws weights one after another from one generator.
class WeightSource {
  public:
    WeightSource(at::TensorOptions options, std::uint64_t seed)
        : options_(options), generator_(at::make_generator<at::CPUGeneratorImpl>(seed)) {}

    /// Normal with variance 1/fan_in, so that activations keep their size.
    at::Tensor matrix(std::int64_t rows, std::int64_t fan_in) {
        return leaf(at::randn({rows, fan_in}, generator_, at::TensorOptions{}.dtype(at::kDouble))
                        .div(std::sqrt(static_cast<double>(fan_in))));
    }

    at::Tensor zeros(std::int64_t size) {
        return leaf(at::zeros({size}, at::TensorOptions{}.dtype(at::kDouble)));
    }

  private:
    at::Tensor leaf(const at::Tensor& drawn) { return drawn.to(options_).set_requires_grad(true); }

    at::TensorOptions options_;
    at::Generator generator_;
};

PhiWeights make_phi(const NsaConfig& c, std::int64_t width, WeightSource& source) {
    // Designated initialisers run in order, so the draws do too.
    return {.position = source.matrix(c.l, width),
            .w1 = source.matrix(c.phi_hidden, c.l * width),
            .b1 = source.zeros(c.phi_hidden),
            .w2 = source.matrix(width, c.phi_hidden),
            .b2 = source.zeros(width)};
}

KeyValueWeights make_key_value(const NsaConfig& c, WeightSource& source) {
    return {.k = source.matrix(c.groups * c.dk, c.dim), .v = source.matrix(c.groups * c.dv, c.dim)};
}

void add_phi(const std::string& name, const PhiWeights& phi, std::vector<NamedTensor>& list) {
    list.push_back({name + ".position", phi.position});
    list.push_back({name + ".w1", phi.w1});
    list.push_back({name + ".b1", phi.b1});
    list.push_back({name + ".w2", phi.w2});
    list.push_back({name + ".b2", phi.b2});
}

}  // namespace

Parameters make_parameters(const NsaConfig& c, at::TensorOptions options, std::uint64_t seed) {
    WeightSource source{options, seed};
    Parameters p{.wq = source.matrix(c.heads * c.dk, c.dim),
                 .cmp = make_key_value(c, source),
                 .sel = make_key_value(c, source),
                 .win = make_key_value(c, source),
                 .gate_w1 = source.matrix(c.gate_hidden, c.dim),
                 .gate_b1 = source.zeros(c.gate_hidden),
                 .gate_w2 = source.matrix(3 * c.heads, c.gate_hidden),
                 .gate_b2 = source.zeros(3 * c.heads),
                 .wo = source.matrix(c.dim, c.heads * c.dv),
                 .phi = std::nullopt};
    if (c.compressor == Compressor::kMlp)
        p.phi = PhiPair{.k = make_phi(c, c.dk, source), .v = make_phi(c, c.dv, source)};
    return p;
}

std::vector<NamedTensor> named(const Parameters& p) {
    std::vector<NamedTensor> list{{"wq", p.wq},           {"wk_cmp", p.cmp.k},    {"wv_cmp", p.cmp.v},
                                  {"wk_sel", p.sel.k},    {"wv_sel", p.sel.v},    {"wk_win", p.win.k},
                                  {"wv_win", p.win.v},    {"gate_w1", p.gate_w1}, {"gate_b1", p.gate_b1},
                                  {"gate_w2", p.gate_w2}, {"gate_b2", p.gate_b2}, {"wo", p.wo}};
    if (p.phi) {
        add_phi("phi_k", p.phi->k, list);
        add_phi("phi_v", p.phi->v, list);
    }
    return list;
}

}  // namespace nsa::core
