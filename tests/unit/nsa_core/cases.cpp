#include "cases.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

namespace nsa::core::test {
namespace {

NsaConfig small_config() {
    NsaConfig c;
    c.dim = 24;
    c.heads = 4;
    c.groups = 2;
    c.dk = 8;
    c.dv = 8;
    c.l = 8;
    c.d = 4;
    c.l_sel = 16;
    c.n = 3;
    c.n_initial = 1;
    c.n_local = 1;
    c.w = 12;
    c.phi_hidden = 10;
    c.gate_hidden = 12;
    return c;
}

template <class Change>
Case make(std::string name, std::int64_t batch, std::int64_t length, const Change& change) {
    Case c{.name = std::move(name), .batch = batch, .length = length, .config = small_config()};
    change(c.config);
    return c;
}

std::vector<Case> make_grid() {
    const auto same = [](NsaConfig&) {};
    std::vector<Case> cases{
        make("one token", 1, 1, same),
        make("shorter than l", 2, 5, same),
        make("exactly l", 1, 8, same),
        make("multiple of nothing", 1, 83, same),
        make("whole blocks, three sequences", 3, 64, same),
        make("window longer than the sequence", 1, 45, [](NsaConfig& c) { c.w = 500; }),
        make("window of one token", 1, 33, [](NsaConfig& c) { c.w = 1; }),
        make("more picks than blocks", 2, 50, [](NsaConfig& c) { c.n = 40; }),
        make("forced blocks only", 1, 90, [](NsaConfig& c) { c.n = 3, c.n_initial = 1, c.n_local = 2; }),
        make("blocks without overlap", 1, 70, [](NsaConfig& c) { c.l = 4, c.d = 4; }),
        make("blocks that overlap fourfold", 1, 70, [](NsaConfig& c) { c.l = 16, c.d = 4; }),
        make("selection blocks shorter than l", 1, 61,
             [](NsaConfig& c) { c.l = 16, c.d = 4, c.l_sel = 8, c.n = 4; }),
        make("dk wider than dv", 2, 40, [](NsaConfig& c) { c.dk = 12, c.dv = 6; }),
        make("dv wider than dk", 2, 40, [](NsaConfig& c) { c.dk = 6, c.dv = 16; }),
        make("the paper's blocks", 1, 200,
             [](NsaConfig& c) { c.l = 32, c.d = 16, c.l_sel = 64, c.n = 3, c.n_local = 2, c.w = 100; }),
    };
    // Heads and groups as {H, G}: H/G from 1 to 8, one group, as many groups as heads.
    for (const auto& [heads, groups] : {std::pair{8, 1}, {4, 4}, {1, 1}, {6, 2}, {5, 1}, {7, 1}, {12, 2}}) {
        cases.push_back(make("H=" + std::to_string(heads) + " G=" + std::to_string(groups), 1, 53,
                             [heads = heads, groups = groups](NsaConfig& c) {
                                 c.heads = heads;
                                 c.groups = groups;
                             }));
    }
    return cases;
}

}  // namespace

const std::vector<Case>& grid() {
    static const std::vector<Case> cases = make_grid();
    return cases;
}

at::Tensor random(at::IntArrayRef shape, std::uint64_t seed, at::ScalarType type) {
    const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
    return at::randn(shape, generator, at::TensorOptions{}.dtype(at::kDouble)).to(type);
}

Inputs random_inputs(const Case& c, at::ScalarType type, std::uint64_t seed) {
    const NsaConfig& n = c.config;
    return {.q = random({c.batch, n.heads, c.length, n.dk}, 3 * seed, type),
            .k = random({c.batch, n.groups, c.length, n.dk}, 3 * seed + 1, type),
            .v = random({c.batch, n.groups, c.length, n.dv}, 3 * seed + 2, type)};
}

double max_abs(const at::Tensor& a, const at::Tensor& b) {
    if (a.numel() == 0) return 0.0;
    return (a.detach().to(at::kCPU, at::kDouble) - b.detach().to(at::kCPU, at::kDouble))
        .abs()
        .max()
        .item<double>();
}

double mean_abs(const at::Tensor& a, const at::Tensor& b) {
    return (a.detach().to(at::kCPU, at::kDouble) - b.detach().to(at::kCPU, at::kDouble))
        .abs()
        .mean()
        .item<double>();
}

double tolerance(at::ScalarType type) {
    switch (type) {
        case at::kDouble:
            return 1e-12;
        case at::kFloat:
            return 1e-5;
        case at::kHalf:
            return 4e-3;
        default:  // bf16 keeps 8 bits: three fewer than fp16
            return 3.2e-2;
    }
}

}  // namespace nsa::core::test
