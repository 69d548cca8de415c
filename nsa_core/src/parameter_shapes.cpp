#include "nsa_core/src/parameter_shapes.hpp"

namespace nsa::core {

std::vector<ParameterShape> parameter_shapes(const NsaConfig& c) {
    std::vector<ParameterShape> list{{"wq", {c.heads * c.dk, c.dim}}};
    for (const char* branch : {"cmp", "sel", "win"}) {
        list.push_back({std::string{"wk_"} + branch, {c.groups * c.dk, c.dim}});
        list.push_back({std::string{"wv_"} + branch, {c.groups * c.dv, c.dim}});
    }
    list.insert(list.end(), {{"gate_w1", {c.gate_hidden, c.dim}},
                             {"gate_b1", {c.gate_hidden}},
                             {"gate_w2", {3 * c.heads, c.gate_hidden}},
                             {"gate_b2", {3 * c.heads}},
                             {"wo", {c.dim, c.heads * c.dv}}});
    if (c.compressor != Compressor::kMlp) return list;
    const auto add_phi = [&](const std::string& name, std::int64_t width) {
        list.insert(list.end(), {{name + ".position", {c.l, width}},
                                 {name + ".w1", {c.phi_hidden, c.l * width}},
                                 {name + ".b1", {c.phi_hidden}},
                                 {name + ".w2", {width, c.phi_hidden}},
                                 {name + ".b2", {width}}});
    };
    add_phi("phi_k", c.dk);
    add_phi("phi_v", c.dv);
    return list;
}

}  // namespace nsa::core
