#include "nsa_core/gates/gate_health.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <iostream>

#include "nsa_core/device.hpp"
#include "nsa_core/gates/statistics.hpp"
#include "nsa_core/tools/csv.hpp"
#include "nsa_core/tools/torch_device.hpp"
#include "nsa_core/train/model.hpp"
#include "nsa_core/train/sampling.hpp"
#include "nsa_core/train/trainer.hpp"

namespace nsa::core::gates {
namespace {

train::TrainSmokeOptions training_of(const GateHealthOptions& o) {
    train::TrainSmokeOptions training;
    static_cast<train::ModelFlags&>(training) = o;
    training.lr = o.lr;
    training.graph = train::GraphFlag::kOff;  // few steps do not repay a capture
    return training;
}

// loss and grad_norm of every step; what made one useless, in words.
std::optional<std::string> train_some(train::Trainer& trainer, train::WindowSampler& sampler,
                                      const GateHealthOptions& o, tools::Output& output) {
    for (std::int64_t step = 0; step < o.steps; ++step) {
        const train::StepReport report = trainer.step({sampler.draw(static_cast<std::size_t>(o.batch))});
        output.results.write(
            tools::Metric{.name = "loss", .value = report.loss, .unit = "nat", .sample = step});
        output.results.write(
            tools::Metric{.name = "grad_norm", .value = report.grad_norm, .unit = "1", .sample = step});
        if (auto fault = train::step_fault(report, step)) return fault;
    }
    return std::nullopt;
}

at::Tensor next_batch(train::WindowSampler& sampler, const GateHealthOptions& o, at::Device device) {
    const auto tokens = sampler.draw(static_cast<std::size_t>(o.batch));
    return at::tensor(tokens, at::kLong).view({o.batch, o.seq + 1}).narrow(1, 0, o.seq).to(device);
}

void write_row(tools::CsvWriter& csv, std::int64_t sample, std::size_t layer, const Statistics& s) {
    for (const Branch branch : kBranches) {
        const auto index = static_cast<std::size_t>(branch);
        csv.row({std::to_string(sample), std::to_string(layer), std::string{name(branch)},
                 tools::csv_number(s.mean[index]), tools::csv_number(s.low[index]),
                 tools::csv_number(s.high[index]), tools::csv_number(s.entropy),
                 tools::csv_number(s.taken_all), s.collapsed() ? "1" : "0"});
    }
}

void print(std::size_t layer, const Statistics& s) {
    std::cout << "layer " << layer << ": gates " << s.mean[0] << "/" << s.mean[1] << "/" << s.mean[2]
              << ", entropy " << s.entropy << ", taken by one branch " << s.taken_all
              << (s.collapsed() ? ": collapsed" : "") << std::endl;
}

void sample_gates(train::ByteModel& model, train::WindowSampler& sampler, const GateHealthOptions& o,
                  at::Device device, tools::Output& output) {
    const c10::NoGradGuard no_grad;
    tools::CsvWriter csv{
        output.artifacts / "gates.csv",
        {"sample", "layer", "branch", "mean", "low", "high", "entropy", "taken_all", "collapsed"}};
    for (std::int64_t sample = 0; sample < o.samples; ++sample) {
        (void)model.logits(next_batch(sampler, o, device));
        const std::vector<Statistics> layers = model.gates();
        for (std::size_t layer = 0; layer < layers.size(); ++layer) {
            write(output, layers[layer], {{"layer", std::to_string(layer)}}, sample);
            write_row(csv, sample, layer, layers[layer]);
            if (sample + 1 == o.samples) print(layer, layers[layer]);
        }
    }
}

}  // namespace

void add_flags(tools::FlagTable& table, GateHealthOptions& o) {
    constexpr std::int64_t kMany = 1 << 20;
    table.integer("--samples", o.samples, 1, kMany, "batches, one sample of every statistic each")
        .integer("--steps", o.steps, 0, kMany, "optimiser steps before the first; 0: fresh weights")
        .positive("--lr", o.lr, "learning rate of AdamW");
    add_model_flags(table, o);
    add_run_flags(table, o);
}

tools::Outcome run(const GateHealthOptions& o, tools::Output& output) {
    const NsaConfig config = config_of(o);
    const RoutePolicy policy = RoutePolicy::from_env();
    const auto choice = tools::choose_device(o.device);
    if (const auto* skipped = std::get_if<tools::Skipped>(&choice)) return *skipped;
    const auto kind = std::get<tools::DeviceKind>(choice);
    if (o.route) {
        if (const auto reason = tools::why_not(*o.route, train::request_of(o, config, kind), policy))
            return tools::Skipped{*reason};
    }
    train::WindowSampler sampler = train::sampler_of(o.data, o.seq, o.seed);

    tools::write_run_facts(output, kind, o.dtype, o.seed);
    output.results.write(tools::Fact{.name = "data", .value = o.data});
    train::Trainer trainer{config, training_of(o), policy, kind};
    const auto fault = train_some(trainer, sampler, o, output);
    if (!fault) sample_gates(trainer.model(), sampler, o, tools::torch_device(kind), output);
    for (const auto& [branch, taken] : trainer.routes())
        tools::write_route_facts(output, branch, taken);
    tools::write_peak_memory(output, kind);
    if (fault) return tools::Failed{"training failed: " + *fault};
    return tools::Done{};
}

}  // namespace nsa::core::gates
