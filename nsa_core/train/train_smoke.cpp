#include "nsa_core/train/train_smoke.hpp"

#include <chrono>
#include <iostream>
#include <optional>
#include <variant>

#include "nsa_core/errors.hpp"
#include "nsa_core/routes/cuda_decode.hpp"
#include "nsa_core/tools/route_check.hpp"
#include "nsa_core/train/sampling.hpp"
#include "nsa_core/train/step_log.hpp"
#include "nsa_core/train/trainer.hpp"

namespace nsa::core::train {
namespace {

using tools::DeviceKind;
using tools::Fact;
using tools::Metric;

std::vector<std::vector<std::int64_t>> micro_batches(WindowSampler& sampler, const TrainSmokeOptions& o) {
    std::vector<std::vector<std::int64_t>> batches;
    for (std::int64_t i = 0; i < o.accumulate; ++i)
        batches.push_back(sampler.draw(static_cast<std::size_t>(o.batch)));
    return batches;
}

struct Progress {
    std::int64_t steps_done = 0;
    std::int64_t overflowed = 0;
    std::optional<std::string> fault;
};

Progress train(Trainer& trainer, WindowSampler sampler, const TrainSmokeOptions& o, StepLog& log) {
    Progress progress;
    const auto tokens = static_cast<double>(o.batch * o.accumulate * o.seq);
    for (std::int64_t step = 0; step < o.steps && !progress.fault; ++step) {
        const auto start = std::chrono::steady_clock::now();
        const StepReport report = trainer.step(micro_batches(sampler, o));
        const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
        log.add({.loss = report.loss,
                 .grad_norm = report.grad_norm,
                 .step_ms = elapsed.count(),
                 .tokens_per_s = tokens / elapsed.count() * 1e3,
                 .overflowed = report.overflowed,
                 .gates = trainer.gates()});
        progress.fault = step_fault(report, step);
        if (report.overflowed) ++progress.overflowed;
        if (!progress.fault) ++progress.steps_done;
    }
    return progress;
}

// The losses of the same training by --compare-route, and the routes that it took.
struct Compared {
    std::vector<double> losses;
    std::vector<std::pair<Branch, RouteChoice>> routes;
};

Compared train_compared(const NsaConfig& config, TrainSmokeOptions o, const RoutePolicy& policy,
                        DeviceKind device, WindowSampler sampler, std::size_t steps) {
    o.route = o.compare_route;
    Trainer trainer{config, o, policy, device};
    Compared compared;
    for (std::size_t step = 0; step < steps; ++step)
        compared.losses.push_back(trainer.step(micro_batches(sampler, o)).loss);
    compared.routes = trainer.routes();
    return compared;
}

// A route against itself agrees, and proves nothing.
bool same_routes(const std::vector<std::pair<Branch, RouteChoice>>& a,
                 const std::vector<std::pair<Branch, RouteChoice>>& b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (a[i].second.taken != b[i].second.taken) return false;
    }
    return true;
}

void write_summary(tools::Output& output, const TrainSmokeOptions& o, const RoutePolicy& policy,
                   const Trainer& trainer, const Progress& progress) {
    const auto metric = [&](const char* name, std::int64_t value) {
        output.results.write(Metric{.name = name, .value = static_cast<double>(value)});
    };
    metric("steps_done", progress.steps_done);
    metric("steps_asked", o.steps);
    metric("steps_overflowed", progress.overflowed);
    metric("parameters", trainer.parameter_count());
    output.results.write(Fact{.name = "data", .value = o.data});
    output.results.write(Fact{.name = "optimizer", .value = "AdamW"});
    output.results.write(Fact{.name = "step_graph", .value = trainer.graph()});
    for (const auto& [branch, choice] : trainer.routes())
        tools::write_route_facts(output, branch, choice);
    if (policy.sdpa_audit) tools::write_audit_facts(output, trainer.audit());
}

// Why a graph or a route that was asked for by name would not run here.
std::optional<std::string> skip_reason(const TrainSmokeOptions& o, const NsaConfig& config,
                                       const RoutePolicy& policy, DeviceKind device) {
    if (o.graph == GraphFlag::kOn) {
        const auto reason = why_eager({.flag = o.graph,
                                       .device = device,
                                       .dtype = o.dtype,
                                       .kernels = kernels_built(),
                                       .sdpa_audit = policy.sdpa_audit,
                                       .routes = {}});
        if (reason) return "--graph on: " + *reason;
    }
    const tools::SequenceRequest request = request_of(o, config, device);
    for (const std::optional<Route>& route : {o.route, o.compare_route}) {
        if (!route) continue;
        if (auto reason = tools::why_not(*route, request, policy)) return reason;
    }
    return std::nullopt;
}

void check_comparison(const TrainSmokeOptions& o) {
    if (o.compare_route && o.compare_route == o.route) {
        throw InputError{"--compare-route " + tools::name_of(o.compare_route) +
                         " is --route itself: a comparison needs two routes"};
    }
}

}  // namespace

void add_flags(tools::FlagTable& table, TrainSmokeOptions& o) {
    constexpr std::int64_t kMany = 1 << 20;
    auto compared = tools::sequence_routes();
    compared.front().first = "none";  // in place of auto
    table.integer("--steps", o.steps, 1, INT64_C(1) << 40, "optimiser steps");
    add_model_flags(table, o);
    table.integer("--accumulate", o.accumulate, 1, kMany, "batches in a step, gradients averaged")
        .positive("--lr", o.lr, "learning rate of AdamW")
        .choice("--compare-route", o.compare_route, compared,
                "train again by this route and report how far the losses lie apart")
        .choice("--graph", o.graph,
                {{"auto", GraphFlag::kAuto}, {"on", GraphFlag::kOn}, {"off", GraphFlag::kOff}},
                "steps as replays of a CUDA graph; auto: where every branch takes route cuda");
    add_run_flags(table, o);
}

tools::Outcome run(const TrainSmokeOptions& options, tools::Output& output) {
    const NsaConfig config = config_of(options);
    const RoutePolicy policy = RoutePolicy::from_env();
    check_comparison(options);
    const auto device = tools::choose_device(options.device);
    if (const auto* skipped = std::get_if<tools::Skipped>(&device)) return *skipped;
    const auto kind = std::get<DeviceKind>(device);
    if (const auto reason = skip_reason(options, config, policy, kind)) return tools::Skipped{*reason};
    const WindowSampler sampler = sampler_of(options.data, options.seq, options.seed);

    tools::write_run_facts(output, kind, options.dtype, options.seed);
    StepLog log{output};
    Trainer trainer{config, options, policy, kind};
    const Progress progress = train(trainer, sampler, options, log);
    write_summary(output, options, policy, trainer, progress);
    tools::write_peak_memory(output, kind);  // before a second model would add to it
    log.finish({{"data", options.data},
                {"dtype", std::string{name(options.dtype)}},
                {"route", tools::name_of(options.route)},
                {"seed", std::to_string(options.seed)}});
    if (progress.fault) return tools::Failed{"training failed: " + *progress.fault};
    if (options.graph == GraphFlag::kOn && !trainer.captured())
        return tools::Failed{"--graph on, but no step replayed a graph: " + trainer.graph()};
    if (!options.compare_route) return tools::Done{};

    const Compared compared = train_compared(config, options, policy, kind, sampler, log.steps().size());
    output.results.write(Fact{.name = "compare_route", .value = tools::name_of(options.compare_route)});
    if (same_routes(trainer.routes(), compared.routes)) {
        return tools::Failed{"--compare-route " + tools::name_of(options.compare_route) + ": --route " +
                             tools::name_of(options.route) +
                             " took the same routes, so nothing was compared"};
    }
    write_comparison(output, log.steps(), compared.losses);
    return tools::Done{};
}

}  // namespace nsa::core::train
