#include "nsa_core/parity/plan.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "nsa_core/errors.hpp"
#include "nsa_core/geometry.hpp"

namespace nsa::core::parity {
namespace {

using tools::DeviceKind;

std::vector<Branch> branches_of(Subject subject) {
    switch (subject) {
        case Subject::kSliding:
            return {Branch::kSliding};
        case Subject::kCompressed:
            return {Branch::kCompressed};
        case Subject::kSelected:
            return {Branch::kSelected};
        case Subject::kModule:
        case Subject::kDecode:
        case Subject::kDecodeStep:
            break;
    }
    return {std::begin(kBranches), std::end(kBranches)};
}

// Positions of the sequences of a decode step.
std::vector<std::int64_t> positions_of(const ParityOptions& o, const NsaConfig& config) {
    return o.positions.empty() ? edge_positions(config, o.seq) : o.positions;
}

StepRequest step_request(const ParityOptions& o, const NsaConfig& config, const DeviceFacts& device) {
    const std::vector<std::int64_t> positions = positions_of(o, config);
    return {.config = config,
            .dtype = o.dtype,
            .page_tokens = o.page,
            .max_tokens = *std::max_element(positions.begin(), positions.end()) + 1,
            .cuda = device.kind == DeviceKind::kCuda,
            .sm = device.sm,
            .kernels = device.kernels};
}

NsaConfig config_of(const ParityOptions& o) {
    NsaConfig config = tools::config_of(o, o.heads * o.dk);
    config.compressor = o.compression.compressor;
    config.phi_hidden = o.compression.phi_hidden;
    return config;
}

void check_compressor(const ParityOptions& options) {
    const bool layer = options.subject == Subject::kModule || options.subject == Subject::kDecode;
    if (layer || options.compression.compressor == Compressor::kMean) return;
    throw InputError{"--compressor mlp is part of a layer: it goes with --branch module or decode"};
}

void check_step_route(const ParityOptions& options) {
    const bool is_step = options.subject == Subject::kDecodeStep;
    if (options.route == Route::kCuda && options.subject == Subject::kDecode) {
        throw InputError{
            "--route cuda decodes over a paged cache only: --branch decode_step, not decode, runs it"};
    }
    if (options.gradients && (is_step || options.subject == Subject::kDecode)) {
        throw InputError{"--gradients on: decoding has none; it goes with a branch or with --branch module"};
    }
    if (is_step && options.route && *options.route != Route::kCuda && *options.route != Route::kReference) {
        throw InputError{"--branch decode_step runs by --route reference, cuda or auto, not by " +
                         std::string{name(*options.route)}};
    }
    if (!is_step && !options.positions.empty()) {
        throw InputError{"--positions are those of a decode step: they go with --branch decode_step"};
    }
}

// Keys that the query which sees most can see.
std::int64_t visible_keys(Branch branch, const ParityOptions& o, const NsaConfig& config) {
    switch (branch) {
        case Branch::kSliding:
            return std::min(o.w, o.seq);
        case Branch::kCompressed:
            return compressed_count(o.seq, config);
        case Branch::kSelected:
            break;
    }
    return std::min(o.n * o.l_sel, o.seq);
}

}  // namespace

std::vector<std::int64_t> edge_positions(const NsaConfig& c, std::int64_t longest) {
    std::vector<std::int64_t> positions{longest};
    for (const std::int64_t edge : {std::int64_t{1}, c.l, c.l_sel, c.w, c.n * c.l_sel}) {
        for (const std::int64_t t : {edge - 1, edge, edge + 1}) {
            if (t >= 0 && t < longest) positions.push_back(t);
        }
    }
    std::sort(positions.begin(), positions.end());
    positions.erase(std::unique(positions.begin(), positions.end()), positions.end());
    positions.insert(positions.begin() + 1, -1);
    return positions;
}

std::optional<Route> route_asked_of(Branch branch, const ParityOptions& options) {
    const bool has_none = branch == Branch::kSelected && options.route && is_fa2(*options.route);
    return has_none ? std::nullopt : options.route;
}

void check_request(const ParityOptions& options, const RoutePolicy& policy) {
    (void)config_of(options);
    check_compressor(options);
    check_step_route(options);
    if (!options.route) return;
    const Route route = *options.route;
    const bool one_branch = options.subject == Subject::kSliding || options.subject == Subject::kCompressed;
    if (route == Route::kSdpaCausalOneQuery && !one_branch) {
        throw InputError{
            "--route sdpa_causal_one_query is the published oracle of two branches: it goes with "
            "--branch sliding or compressed"};
    }
    if (is_fa2(route) && options.subject == Subject::kSelected) {
        throw InputError{"--route " + std::string{name(route)} +
                         ": FlashAttention-2 has no mask of selected blocks; --branch selected takes "
                         "reference, sdpa or auto"};
    }
    for (const Branch branch : branches_of(options.subject)) {
        if (!route_asked_of(branch, options)) continue;
        if (const auto fault = contradiction(policy, branch, route)) throw InputError{*fault};
    }
}

TrialPlan plan_trials(const ParityOptions& options, const RoutePolicy& policy, const DeviceFacts& device,
                      GoldenPointer golden) {
    TrialPlan plan{.options = options,
                   .config = golden ? golden->config : config_of(options),
                   .policy = policy,
                   .device = device.kind,
                   .routes = {},
                   .golden = std::move(golden)};
    if (options.subject == Subject::kDecodeStep) {
        plan.options.positions = positions_of(options, plan.config);
        const RouteChoice choice = choose_route(options.route, step_request(options, plan.config, device));
        for (const Branch branch : kBranches)
            plan.routes.emplace_back(branch, choice);  // one launch computes all three
        return plan;
    }
    for (const Branch branch : branches_of(options.subject)) {
        const RouteRequest request{.branch = branch,
                                   .config = plan.config,
                                   .dtype = options.dtype,
                                   .cuda = device.kind == DeviceKind::kCuda,
                                   .sm = device.sm,
                                   .kernels = device.kernels,
                                   .batch = options.batch,
                                   .length = options.subject == Subject::kDecode ? 0 : options.seq,
                                   .key_len = visible_keys(branch, options, plan.config)};
        plan.routes.emplace_back(branch, choose_route(route_asked_of(branch, options), request, policy));
    }
    return plan;
}

std::optional<std::string> skip_reason(const TrialPlan& plan, const DeviceFacts& device) {
    const std::optional<Route>& asked = plan.options.route;
    for (const auto& [branch, choice] : plan.routes) {
        if (asked != Route::kCuda || choice.taken == Route::kCuda) continue;
        return device.kind == DeviceKind::kCpu && device.kernels ? choice.reason + ": " + device.why_no_cuda
                                                                 : choice.reason;
    }
    const bool asks_fa2 = asked && is_fa2(*asked);
    if (asks_fa2 && device.kind == DeviceKind::kCpu) {
        return "route " + std::string{name(*asked)} + " needs a CUDA device: " + device.why_no_cuda;
    }
    if (plan.options.subject == Subject::kCompressed &&
        compressed_count(plan.options.seq, plan.config) == 0) {
        // Zero against zero would agree and prove nothing.
        return "no query sees a compressed token: --seq " + std::to_string(plan.options.seq) +
               " is shorter than --l " + std::to_string(plan.options.l);
    }
    const bool takes_fa2 = std::any_of(plan.routes.begin(), plan.routes.end(),
                                       [](const auto& chosen) { return is_fa2(chosen.second.taken); });
    if ((asks_fa2 || takes_fa2) && !plan.policy.test_fa2) {
        return "parity cases on FlashAttention-2 routes run only with NSA_TEST_FA2=1";
    }
    return std::nullopt;
}

}  // namespace nsa::core::parity
