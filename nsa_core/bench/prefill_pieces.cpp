#include "nsa_core/bench/prefill_pieces.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <array>
#include <cmath>
#include <stdexcept>

#include "nsa_core/attention.hpp"
#include "nsa_core/parity/metrics.hpp"
#include "nsa_core/routes/cuda_branches.hpp"
#include "nsa_core/routes/prefill_shape.hpp"

namespace nsa::core::bench {
namespace {

at::Tensor leaf(const at::Tensor& value) {
    return value.detach().requires_grad_(true);
}

BranchExecutions executions(const RoutesTaken& routes) {
    return {.cmp = {.route = routes.cmp.taken},
            .sel = {.route = routes.sel.taken},
            .win = {.route = routes.win.taken}};
}

struct Weights {
    const NSAAttention& module;

    [[nodiscard]] at::Tensor operator()(std::string_view name) const {
        for (const NamedTensor& parameter : module.parameters()) {
            if (parameter.name == name) return parameter.tensor;
        }
        throw std::logic_error{"the module has no parameter " + std::string{name}};
    }
};

std::optional<PhiPair> phi_of(const NSAAttention& module) {
    if (module.config().compressor == Compressor::kMean) return std::nullopt;
    const Weights weight{module};
    const auto side = [&](const std::string& name) {
        return PhiWeights{.position = weight(name + ".position"),
                          .w1 = weight(name + ".w1"),
                          .b1 = weight(name + ".b1"),
                          .w2 = weight(name + ".w2"),
                          .b2 = weight(name + ".b2")};
    };
    return PhiPair{.k = side("phi_k"), .v = side("phi_v")};
}

// Matrices of variance 1 / fan-in, as a layer draws them.
std::optional<PhiPair> random_phi(const NsaConfig& c, at::TensorOptions options) {
    if (c.compressor == Compressor::kMean) return std::nullopt;
    const auto matrix = [&](std::int64_t rows, std::int64_t fan_in) {
        return leaf((at::randn({rows, fan_in}, options.dtype(at::kFloat)) / std::sqrt(fan_in)).to(options));
    };
    const auto side = [&](std::int64_t width) {
        return PhiWeights{.position = matrix(c.l, width),
                          .w1 = matrix(c.phi_hidden, c.l * width),
                          .b1 = leaf(at::zeros({c.phi_hidden}, options)),
                          .w2 = matrix(width, c.phi_hidden),
                          .b2 = leaf(at::zeros({width}, options))};
    };
    return PhiPair{.k = side(c.dk), .v = side(c.dv)};
}

}  // namespace

at::Tensor correlated(const at::Tensor& independent) {
    constexpr double kKept = 0.95;
    constexpr double kNegligible = 1e-6;
    const std::int64_t length = independent.size(2);
    // The first token has the full variance, each later one gets what keeps it.
    at::Tensor rows = independent * std::sqrt(1 - kKept * kKept);
    rows.select(2, 0).copy_(independent.select(2, 0));
    // x_t = sum over k of kept^k e_(t-k), summed in strides that double.
    for (std::int64_t stride = 1; stride < length; stride *= 2) {
        const double factor = std::pow(kKept, static_cast<double>(stride));
        if (factor < kNegligible) break;
        at::Tensor next = rows.clone();
        next.narrow(2, stride, length - stride).add_(rows.narrow(2, 0, length - stride), factor);
        rows = next;
    }
    return rows;
}

PrefillInputs random_inputs(const PrefillBenchOptions& o, const NsaConfig& c, std::int64_t seq,
                            at::TensorOptions options) {
    // Drawn where they are used: a batch of long sequences would take a host minutes.
    const auto draw = [&](std::int64_t heads, std::int64_t width) {
        return at::randn({o.batch, seq, heads, width}, options.dtype(at::kFloat)).transpose(1, 2);
    };
    const auto rows = [&](std::int64_t heads, std::int64_t width) {
        return leaf(draw(heads, width).to(options));
    };
    const at::Tensor q = draw(c.heads, c.dk);
    return {.q = leaf((o.queries == Queries::kCorrelated ? correlated(q) : q).to(options)),
            .gates = leaf(at::rand({o.batch, seq, c.heads, 3}, options).transpose(1, 2)),
            .k_raw = rows(c.groups, c.dk),
            .v_raw = rows(c.groups, c.dv),
            .k_sel = rows(c.groups, c.dk),
            .v_sel = rows(c.groups, c.dv),
            .k_win = rows(c.groups, c.dk),
            .v_win = rows(c.groups, c.dv),
            .phi = random_phi(c, options)};
}

PrefillInputs projected(const NSAAttention& module, const at::Tensor& x) {
    const NsaConfig& c = module.config();
    const Weights weight{module};
    const auto heads = [&](std::string_view name, std::int64_t count) {
        const at::Tensor rows = at::linear(x, weight(name));
        return rows.view({x.size(0), x.size(1), count, rows.size(2) / count}).transpose(1, 2);
    };
    const at::Tensor hidden = at::silu(at::linear(x, weight("gate_w1"), weight("gate_b1")));
    const at::Tensor logits = at::linear(hidden, weight("gate_w2"), weight("gate_b2"))
                                  .view({x.size(0), x.size(1), c.heads, 3})
                                  .transpose(1, 2);
    return {.q = heads("wq", c.heads),
            .gates = at::sigmoid(logits),
            .k_raw = heads("wk_cmp", c.groups),
            .v_raw = heads("wv_cmp", c.groups),
            .k_sel = heads("wk_sel", c.groups),
            .v_sel = heads("wv_sel", c.groups),
            .k_win = heads("wk_win", c.groups),
            .v_win = heads("wv_win", c.groups),
            .phi = phi_of(module)};
}

at::Tensor attend(const PrefillInputs& in, const NsaConfig& c, const RoutesTaken& routes) {
    const BranchExecutions how = executions(routes);
    return gated_attention({.q = in.q,
                            .cmp = compressed_tokens(in, c, how.cmp),
                            .sel = {.k = in.k_sel, .v = in.v_sel},
                            .win = {.k = in.k_win, .v = in.v_win},
                            .gates = in.gates},
                           c, how)
        .out;
}

at::Tensor selected_blocks(const PrefillInputs& in, const NsaConfig& c, const RoutesTaken& routes) {
    const c10::NoGradGuard no_grad;
    const Execution how = executions(routes).cmp;
    return choose_blocks(in.q, compressed_tokens(in, c, how), c, how);
}

std::vector<Piece> pieces_of(const PrefillInputs& in, const PartFunctions& parts) {
    const at::Tensor gates = leaf(in.gates), q_cmp = leaf(in.q), q_sel = leaf(in.q), q_win = leaf(in.q);
    const auto leaves = [](const at::Tensor& k, const at::Tensor& v) {
        return KeysValues{.k = leaf(k), .v = leaf(v)};
    };
    const KeysValues raw = leaves(in.k_raw, in.v_raw), cmp = leaves(parts.cmp.k, parts.cmp.v);
    const KeysValues sel = leaves(in.k_sel, in.v_sel), win = leaves(in.k_win, in.v_win);
    const std::array branches = [&] {
        const c10::NoGradGuard no_grad;
        return std::array{parts.compressed(q_cmp, cmp), parts.selected(q_sel, sel),
                          parts.sliding(q_win, win)};
    }();
    std::vector<at::Tensor> compressing{raw.k, raw.v};
    for (const at::Tensor& weight : in.phi_weights())
        compressing.push_back(weight);
    std::vector<at::Tensor> mixed{gates};
    if (parts.branches_have_gradients) {
        for (const at::Tensor& branch : branches)
            mixed.push_back(branch.requires_grad_(true));
    }
    const auto piece = [](PrefillPart part, auto forward, std::vector<at::Tensor> with_gradient) {
        return Piece{.metric = std::string{metric_of(part)},
                     .forward = std::move(forward),
                     .leaves = std::move(with_gradient)};
    };
    const auto branch = [&](PrefillPart part, const PartFunctions::Branch& function, const at::Tensor& q,
                            const KeysValues& rows) {
        return piece(part, [=] { return std::vector{function(q, rows)}; }, {q, rows.k, rows.v});
    };
    return {piece(
                PrefillPart::kCompress,
                [raw, compress = parts.compress] {
                    const KeysValues tokens = compress(raw);
                    return std::vector{tokens.k, tokens.v};
                },
                compressing),
            branch(PrefillPart::kCompressed, parts.compressed, q_cmp, cmp),
            piece(PrefillPart::kSelect, parts.select, {}),
            branch(PrefillPart::kSelected, parts.selected, q_sel, sel),
            branch(PrefillPart::kSliding, parts.sliding, q_win, win),
            piece(
                PrefillPart::kCombine,
                [=, combine = parts.combine] { return std::vector{combine(gates, branches)}; }, mixed)};
}

std::vector<Piece> attention_pieces(const PrefillInputs& in, const NsaConfig& c, const RoutesTaken& routes) {
    const BranchExecutions how = executions(routes);
    const NsaConfig wide = with_kernel_widths(c);
    const bool own_widths = wide.dk == c.dk && wide.dv == c.dv;  // else there are copies to time as well
    if (!all_on_cuda(how) || !own_widths) return pieces_of(in, parts_by_routes(in, c, how));
    return pieces_of(in, parts_by_kernels(in, {.config = c,
                                               .scale = c.scale(),
                                               .packing = {},
                                               .kernels = &cuda_prefill_kernels(in.q.device())}));
}

std::vector<Piece> module_pieces(const NSAAttention& module, const at::Tensor& x, const RoutesTaken& routes) {
    const PrefillInputs in = [&] {
        const c10::NoGradGuard no_grad;
        return projected(module, x);
    }();
    std::vector<Piece> pieces = attention_pieces(in, module.config(), routes);
    std::vector<at::Tensor> leaves{x};
    for (const NamedTensor& parameter : module.parameters())
        leaves.push_back(parameter.tensor);
    pieces.insert(pieces.begin(), {.metric = std::string{metric_of(PrefillPart::kProject)},
                                   .forward = [&module, x] { return projected(module, x).all(); },
                                   .leaves = leaves});
    const at::Tensor wo = Weights{module}("wo");
    Piece& combine = pieces.back();
    combine.forward = [gated = combine.forward, wo] {
        return std::vector{at::linear(gated().front().transpose(1, 2).flatten(2, 3), wo)};
    };
    combine.leaves.push_back(wo);
    return pieces;
}

double unique_block_ratio(const at::Tensor& blocks, std::int64_t tokens) {
    const c10::NoGradGuard no_grad;
    const std::int64_t whole =
        blocks.size(2) / tokens;  // of these tiles; a rest shorter than one is left out
    if (whole == 0) return std::nan("");
    const at::Tensor tiles = blocks.narrow(2, 0, whole * tokens)
                                 .reshape({blocks.size(0), blocks.size(1), whole, tokens * blocks.size(3)});
    const at::Tensor sorted = std::get<0>(at::sort(tiles, -1));
    const auto references = sorted.ge(0).sum().item<std::int64_t>();
    const at::Tensor firsts =
        sorted.narrow(3, 1, sorted.size(3) - 1).ne(sorted.narrow(3, 0, sorted.size(3) - 1));
    const auto changes =
        firsts.logical_and(sorted.narrow(3, 1, sorted.size(3) - 1).ge(0)).sum().item<std::int64_t>();
    const auto at_start = sorted.select(3, 0).ge(0).sum().item<std::int64_t>();
    return static_cast<double>(changes + at_start) / static_cast<double>(references);
}

}  // namespace nsa::core::bench
