#include "nsa_core/parity/parity.hpp"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>
#include <variant>

#include "nsa_core/parity/golden_plan.hpp"
#include "nsa_core/parity/plan.hpp"
#include "nsa_core/parity/trial.hpp"
#include "nsa_core/routes/cuda_decode.hpp"

namespace nsa::core::parity {
namespace {

using tools::DeviceKind;
using tools::Fact;
using tools::Metric;
using tools::Skipped;

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
    fact("oracle", plan.golden ? "golden" : "fp64");
    if (plan.golden) {
        fact("golden_file", plan.options.golden);
        fact("golden_producer", plan.golden->producer);
    }
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

bool whole_layer(Subject subject) {
    return subject == Subject::kModule || subject == Subject::kDecode;
}

DeviceFacts device_facts(const ParityOptions& options, DeviceKind kind) {
    if (kind == DeviceKind::kCpu) {
        const bool by_flag = options.device == tools::DeviceFlag::kCpu;
        return {.kind = kind,
                .sm = 0,
                .why_no_cuda = by_flag ? "--device is cpu" : tools::no_cuda_reason(),
                .kernels = kernels_built()};
    }
    return {.kind = kind, .sm = tools::sm_of(kind), .why_no_cuda = {}, .kernels = kernels_built()};
}

}  // namespace

void add_flags(tools::FlagTable& table, ParityOptions& o) {
    constexpr std::int64_t kMany = 1 << 20;
    std::vector<std::pair<std::string, std::optional<Route>>> routes{{"auto", std::nullopt}};
    for (const Route route : kRoutes)
        routes.emplace_back(name(route), route);
    table
        .choice(
            "--branch", o.subject,
            {{"sliding", Subject::kSliding},
             {"compressed", Subject::kCompressed},
             {"selected", Subject::kSelected},
             {"module", Subject::kModule},
             {"decode", Subject::kDecode},
             {"decode_step", Subject::kDecodeStep}},
            "what to test: a branch, the layer, the layer decoding step by step, or one step of attention "
            "over a paged cache")
        .choice("--route", o.route, routes, "implementation under test; auto: as the environment flags say");
    tools::add_device_flag(table, o.device);
    tools::add_dtype_flag(table, o.dtype);
    table.integer("--batch", o.batch, 1, kMany, "sequences")
        .integer("--seq", o.seq, 1, kMany, "tokens in a sequence");
    tools::add_head_flags(table, o);
    tools::add_block_flags(table, o);
    tools::add_compressor_flags(table, o.compression);
    table.integer("--seed", o.seed, 0, INT64_C(1) << 53, "seed of the first trial")
        .integer("--trials", o.trials, 1, 10000, "trials, each with the next seed")
        .choice("--gradients", o.gradients, {{"off", false}, {"on", true}},
                "also the gradients: of a branch in q, k and v, of the layer in its input and weights")
        .integers(
            "--positions", o.positions, -1, kMany,
            "decode_step: position of each sequence's token, -1 an idle slot; without: every edge up to "
            "--seq, and --batch is not used")
        .integer("--page", o.page, 1, kMany, "decode_step: tokens of a cache page, a multiple of --l-sel")
        .choice("--data", o.data,
                {{"normal", StepData::kNormal},
                 {"tiny", StepData::kTiny},
                 {"huge", StepData::kHuge},
                 {"equal_keys", StepData::kEqualKeys}},
                "decode_step: what the tensors hold")
        .text(
            "--golden", o.golden, "FILE",
            "take inputs and expected outputs from this .safetensors or .pt file instead of seed and oracle")
        .text("--dump", o.dump, "FILE",
              "write inputs, expected and candidate's outputs into this .safetensors or .pt file")
        .note_given(o.given);
}

tools::Outcome run(const ParityOptions& asked, tools::Output& output) {
    const RoutePolicy policy = RoutePolicy::from_env();
    check_files(asked, policy);
    const GoldenPointer golden =
        asked.golden.empty() ? nullptr
                             : std::make_shared<const golden::Golden>(golden::read_golden(asked.golden));
    const ParityOptions options = golden ? options_of(asked, *golden) : asked;
    check_request(options, policy);
    const auto chosen = tools::choose_device(options.device);
    if (const auto* skipped = std::get_if<Skipped>(&chosen)) return *skipped;
    const DeviceFacts device = device_facts(options, std::get<DeviceKind>(chosen));
    const TrialPlan plan = plan_trials(options, policy, device, golden);
    if (const auto reason = skip_reason(plan, device)) return Skipped{*reason};

    tools::write_run_facts(output, plan.device, options.dtype, options.seed);
    const auto trial_of = [&](std::int64_t seed) {
        if (options.subject == Subject::kDecodeStep) return step_trial(plan, seed);
        return whole_layer(options.subject) ? module_trial(plan, seed) : attention_trial(plan, seed);
    };
    std::vector<TrialResult> trials;
    for (std::int64_t i = 0; i < options.trials; ++i) {
        const std::int64_t seed = options.seed + i;
        trials.push_back(trial_of(seed));
        write_trial(output, trials.back(), i);
        print_trial(trials.back(), seed);
    }
    write_summary_facts(output, plan, trials);
    tools::write_peak_memory(output, plan.device);
    return tools::Done{};
}

}  // namespace nsa::core::parity
