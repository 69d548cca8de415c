#include "nsa_core/parity/parity.hpp"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <variant>

#include "nsa_core/config.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/parity/trial.hpp"

namespace nsa::core::parity {
namespace {

using tools::DeviceKind;
using tools::Fact;
using tools::Metric;
using tools::Skipped;

NsaConfig config_of(const ParityOptions& o) {
    NsaConfig config;
    config.dim = o.heads * o.dk;
    config.heads = o.heads;
    config.groups = o.groups;
    config.dk = o.dk;
    config.dv = o.dv;
    config.l = o.l;
    config.d = o.d;
    config.l_sel = o.l_sel;
    config.n = o.n;
    config.w = o.w;
    validate(config);
    return config;
}

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
            break;
    }
    return {std::begin(kBranches), std::end(kBranches)};
}

bool is_fa2(Route route) {
    return route == Route::kFa2Dense || route == Route::kFa2Varlen;
}

// A route that was asked for by name must be one that the case and the environment flags allow.
void refuse_contradictions(const ParityOptions& options, const RoutePolicy& policy) {
    if (!options.route) return;
    const std::vector<Branch> branches = branches_of(options.subject);
    if (*options.route == Route::kSdpaCausalOneQuery && options.subject != Subject::kSliding) {
        throw InputError{
            "--route sdpa_causal_one_query is the published oracle of the sliding window: it goes "
            "with --branch sliding"};
    }
    if (is_fa2(*options.route) && options.subject == Subject::kSelected) {
        throw InputError{
            "--route " + std::string{name(*options.route)} +
            ": FlashAttention-2 cannot gather selected blocks; --branch selected takes reference, "
            "sdpa or auto"};
    }
    for (const Branch branch : branches) {
        if (const auto fault = contradiction(policy, branch, *options.route)) throw InputError{*fault};
    }
}

std::int64_t visible_keys(Branch branch, const ParityOptions& o, const NsaConfig& config) {
    switch (branch) {
        case Branch::kSliding:
            return std::min(o.w, o.seq);
        case Branch::kCompressed:
            return compressed_count(o.seq, config);
        case Branch::kSelected:
            return std::min(o.n * o.l_sel, o.seq);
    }
    return o.seq;
}

std::vector<std::pair<Branch, RouteChoice>> choose_routes(const ParityOptions& o, const NsaConfig& config,
                                                          const RoutePolicy& policy, DeviceKind device) {
    const bool cuda = device == DeviceKind::kCuda;
    const auto gpus = cuda ? tools::visible_gpus() : std::vector<tools::GpuInfo>{};
    std::vector<std::pair<Branch, RouteChoice>> routes;
    for (const Branch branch : branches_of(o.subject)) {
        const RouteRequest request{.branch = branch,
                                   .dtype = o.dtype,
                                   .cuda = cuda,
                                   .sm = gpus.empty() ? 0 : gpus.front().sm,
                                   .dk = o.dk,
                                   .dv = o.dv,
                                   .key_len = visible_keys(branch, o, config)};
        routes.emplace_back(branch, choose_route(o.route, request, policy));
    }
    return routes;
}

// Why this host or these flags leave nothing to measure.
std::optional<std::string> skip_reason(const ParityOptions& options, const TrialPlan& plan) {
    if (options.route && is_fa2(*options.route) && plan.device == DeviceKind::kCpu) {
        const std::string route = "route " + std::string{name(*options.route)} + " needs a CUDA device: ";
        return route +
               (options.device == tools::DeviceFlag::kCpu ? "--device is cpu" : tools::no_cuda_reason());
    }
    const bool asks_fa2 = options.route && is_fa2(*options.route);
    const bool takes_fa2 = std::any_of(plan.routes.begin(), plan.routes.end(),
                                       [](const auto& chosen) { return is_fa2(chosen.second.taken); });
    if ((asks_fa2 || takes_fa2) && !plan.policy.test_fa2) {
        return "parity cases on FlashAttention-2 routes run only with NSA_TEST_FA2=1";
    }
    return std::nullopt;
}

std::string joined(const std::vector<std::int64_t>& values) {
    std::string text;
    for (const std::int64_t value : values) {
        if (!text.empty()) text += ',';
        text += std::to_string(value);
    }
    return text;
}

void write_trial(tools::Output& output, const TrialResult& trial, std::int64_t index) {
    const auto metric = [&](const std::string& name, double value) {
        output.results.write(Metric{.name = name, .value = value, .sample = index});
    };
    metric("mae", trial.error.mae);
    metric("max_abs", trial.error.max_abs);
    metric("rel_l2", trial.error.rel_l2);
    metric("nan_count", static_cast<double>(trial.error.nan_count));
    metric("inf_count", static_cast<double>(trial.error.inf_count));
    metric("baseline_mae", trial.baseline_mae);
    for (const auto& [name, value] : trial.more)
        metric(name, value);
}

// NaN counts as worse than any number.
bool worse(const TrialResult& a, const TrialResult& b) {
    if (std::isnan(b.error.max_abs)) return false;
    return std::isnan(a.error.max_abs) || a.error.max_abs > b.error.max_abs;
}

void write_summary_facts(tools::Output& output, const TrialPlan& plan,
                         const std::vector<TrialResult>& trials) {
    const auto worst = std::max_element(trials.begin(), trials.end(),
                                        [](const auto& a, const auto& b) { return worse(b, a); });
    const auto fact = [&](const char* name, std::string value) {
        output.results.write(Fact{.name = name, .value = std::move(value)});
    };
    for (const auto& [branch, choice] : trials.front().routes)
        tools::write_route_facts(output, branch, choice);
    fact("oracle", "fp64");
    fact("worst_index", joined(worst->error.worst_index));
    fact("worst_seed", std::to_string(plan.options.seed + (worst - trials.begin())));
    if (!plan.policy.sdpa_audit) return;
    tools::AuditCounts total;
    for (const TrialResult& trial : trials) {
        total.calls += trial.audit.calls;
        total.misaligned_calls += trial.audit.misaligned_calls;
        total.nan_rows += trial.audit.nan_rows;
    }
    tools::write_audit_facts(output, total);
}

void print_trial(const TrialResult& trial, std::int64_t seed) {
    std::cout << "seed " << seed << ": mae " << trial.error.mae << ", max " << trial.error.max_abs << " at ["
              << joined(trial.error.worst_index) << "], a plain implementation makes mae "
              << trial.baseline_mae;
    for (const auto& [name, value] : trial.more)
        std::cout << ", " << name << " " << value;
    for (const auto& [branch, choice] : trial.routes) {
        std::cout << "; " << name(branch) << " by " << name(choice.taken);
        if (!choice.reason.empty()) std::cout << " (" << choice.reason << ")";
    }
    std::cout << std::endl;
}

}  // namespace

void add_flags(tools::FlagTable& table, ParityOptions& o) {
    constexpr std::int64_t kMany = 1 << 20;
    std::vector<std::pair<std::string, std::optional<Route>>> routes{{"auto", std::nullopt}};
    for (const Route route : kRoutes)
        routes.emplace_back(name(route), route);
    table
        .choice("--branch", o.subject,
                {{"sliding", Subject::kSliding},
                 {"compressed", Subject::kCompressed},
                 {"selected", Subject::kSelected},
                 {"module", Subject::kModule},
                 {"decode", Subject::kDecode}},
                "what to test: a branch, the layer, or the layer decoding step by step")
        .choice("--route", o.route, routes, "implementation under test; auto: as the environment flags say")
        .choice("--oracle", o.oracle, {{"fp64", Oracle::kFp64}}, "what is taken for true");
    tools::add_device_flag(table, o.device);
    tools::add_dtype_flag(table, o.dtype);
    table.integer("--batch", o.batch, 1, kMany, "sequences")
        .integer("--seq", o.seq, 1, kMany, "tokens in a sequence")
        .integer("--heads", o.heads, 1, 1024, "query heads")
        .integer("--groups", o.groups, 1, 1024, "key/value heads; divides --heads")
        .integer("--dk", o.dk, 1, 1024, "width of a query and of a key")
        .integer("--dv", o.dv, 1, 1024, "width of a value")
        .integer("--l", o.l, 1, kMany, "tokens in a compression block")
        .integer("--d", o.d, 1, kMany, "stride between compression blocks")
        .integer("--l-sel", o.l_sel, 1, kMany, "tokens in a selection block")
        .integer("--n", o.n, 1, kMany, "selected blocks, forced ones included")
        .integer("--w", o.w, 1, kMany, "sliding window in tokens")
        .integer("--seed", o.seed, 0, INT64_C(1) << 53, "seed of the first trial")
        .integer("--trials", o.trials, 1, 10000, "trials, each with the next seed");
}

tools::Outcome run(const ParityOptions& options, tools::Output& output) {
    TrialPlan plan{.options = options,
                   .config = config_of(options),
                   .policy = RoutePolicy::from_env(),
                   .device = DeviceKind::kCpu,
                   .routes = {}};
    refuse_contradictions(options, plan.policy);
    const auto device = tools::choose_device(options.device);
    if (const auto* skipped = std::get_if<Skipped>(&device)) return *skipped;
    plan.device = std::get<DeviceKind>(device);
    plan.routes = choose_routes(options, plan.config, plan.policy, plan.device);
    if (const auto reason = skip_reason(options, plan)) return Skipped{*reason};

    tools::write_run_facts(output, plan.device, options.dtype, options.seed);
    const bool whole_layer = options.subject == Subject::kModule || options.subject == Subject::kDecode;
    std::vector<TrialResult> trials;
    for (std::int64_t i = 0; i < options.trials; ++i) {
        const std::int64_t seed = options.seed + i;
        trials.push_back(whole_layer ? module_trial(plan, seed) : attention_trial(plan, seed));
        write_trial(output, trials.back(), i);
        print_trial(trials.back(), seed);
    }
    write_summary_facts(output, plan, trials);
    tools::write_peak_memory(output, plan.device);
    return tools::Done{};
}

}  // namespace nsa::core::parity
