#include "nsa_core/bench/prefill_subject.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "nsa_core/bench/prefill_rows.hpp"
#include "nsa_core/device.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/routes/cuda_decode.hpp"

namespace nsa::core::bench {
namespace {

std::map<int, double> shared_blocks(const at::Tensor& blocks) {
    std::map<int, double> shares;
    for (const int tokens : kTokensSharing) {
        if (blocks.size(2) >= tokens) shares[tokens] = unique_block_ratio(blocks, tokens);
    }
    return shares;
}

PrefillShape shape_of(const PrefillBenchOptions& o, const NsaConfig& c, std::int64_t seq,
                      at::TensorOptions options) {
    return {.config = c,
            .batch = o.batch,
            .seq = seq,
            .element_bytes = static_cast<std::int64_t>(options.dtype().itemsize())};
}

std::int64_t weight_count(const NSAAttention& module, bool of_output) {
    std::int64_t count = 0;
    for (const NamedTensor& parameter : module.parameters()) {
        if (parameter.name.starts_with("phi_")) continue;  // of the compression
        if ((parameter.name == "wo") == of_output) count += parameter.tensor.numel();
    }
    return count;
}

}  // namespace

RoutesTaken choose_prefill_routes(const PrefillBenchOptions& o, const NsaConfig& c, std::int64_t seq,
                                  at::Device device, const RoutePolicy& policy) {
    const auto choose = [&](Branch branch, std::int64_t key_len) {
        return choose_route(o.route,
                            {.branch = branch,
                             .config = c,
                             .dtype = o.dtype,
                             .cuda = device.is_cuda(),
                             .sm = compute_capability(device),
                             .kernels = kernels_built(),
                             .batch = o.batch,
                             .length = seq,
                             .key_len = key_len},
                            policy);
    };
    return {.cmp = choose(Branch::kCompressed, compressed_count(seq, c)),
            .sel = choose(Branch::kSelected, seq),
            .win = choose(Branch::kSliding, std::min(c.w, seq))};
}

std::optional<std::string> unavailable(const PrefillBenchOptions& o, const NsaConfig& c, at::Device device,
                                       const RoutePolicy& policy) {
    if (!o.route) return std::nullopt;
    const bool fa2 = is_fa2(*o.route);
    for (const Branch branch : {Branch::kCompressed, Branch::kSliding}) {
        if (const auto fault = contradiction(policy, branch, *o.route)) throw InputError(*fault);
    }
    for (const std::int64_t seq : o.seq) {
        const RoutesTaken routes = choose_prefill_routes(o, c, seq, device, policy);
        for (const RouteChoice* choice : {&routes.cmp, &routes.win, &routes.sel}) {
            if (choice->taken == *o.route || (fa2 && choice == &routes.sel)) continue;
            return "route " + std::string{name(*o.route)} + " is unavailable: " + choice->reason;
        }
    }
    return std::nullopt;
}

Subject attention_subject(const PrefillBenchOptions& o, const NsaConfig& c, std::int64_t seq,
                          at::TensorOptions options, const RoutesTaken& routes) {
    const PrefillInputs in = random_inputs(o, c, seq, options);
    return {.whole = {.metric = "ms_total",
                      .forward = [=] { return std::vector{attend(in, c, routes)}; },
                      .leaves = in.all()},
            .parts = [=] { return attention_pieces(in, c, routes); },
            .peers = [=] { return full_attention_pieces(in, c.scale()); },
            .unique_blocks = shared_blocks(selected_blocks(in, c, routes)),
            .shape = shape_of(o, c, seq, options)};
}

Subject module_subject(const PrefillBenchOptions& o, const NSAAttention& module, std::int64_t seq,
                       at::TensorOptions options, const RoutesTaken& routes) {
    const NsaConfig& c = module.config();
    const at::Tensor drawn = at::randn({o.batch, 1, seq, c.dim}, options.dtype(at::kFloat));
    const at::Tensor x = (o.queries == Queries::kCorrelated ? correlated(drawn) : drawn)
                             .squeeze(1)
                             .to(options)
                             .requires_grad_(true);
    std::vector<at::Tensor> leaves{x};
    for (const NamedTensor& parameter : module.parameters())
        leaves.push_back(parameter.tensor);
    const auto made = [&module, x] {
        const c10::NoGradGuard no_grad;
        return projected(module, x);
    };
    Subject subject{.whole = {.metric = "ms_total",
                              .forward = [&module, x] { return std::vector{module.prefill(x).out}; },
                              .leaves = leaves},
                    .parts = [=, &module] { return module_pieces(module, x, routes); },
                    .peers = {},
                    .unique_blocks = shared_blocks(selected_blocks(made(), c, routes)),
                    .shape = shape_of(o, c, seq, options)};
    subject.shape.input_weights = weight_count(module, false);
    subject.shape.output_weights = weight_count(module, true);
    return subject;
}

}  // namespace nsa::core::bench
