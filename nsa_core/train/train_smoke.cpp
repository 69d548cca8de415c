#include "nsa_core/train/train_smoke.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <optional>
#include <variant>

#include "nsa_core/config.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/tools/csv.hpp"
#include "nsa_core/train/byte_data.hpp"
#include "nsa_core/train/trainer.hpp"

namespace nsa::core::train {
namespace {

using tools::Fact;
using tools::Metric;

constexpr std::size_t kSyntheticBytes = std::size_t{1} << 20;

NsaConfig config_of(const TrainSmokeOptions& o) {
    NsaConfig config;  // block sizes and window are the paper's
    config.dim = o.dim;
    config.heads = o.heads;
    config.groups = o.groups;
    config.dk = o.dk;
    config.dv = o.dv;
    config.rope = true;  // the model has no other sense of position
    validate(config);
    return config;
}

// Windows are one byte longer than the sequence: the last byte is a target only.
WindowSampler sampler_of(const TrainSmokeOptions& o) {
    const auto window = static_cast<std::size_t>(o.seq) + 1;
    const auto seed = static_cast<std::uint64_t>(o.seed);
    if (o.data == "synthetic")
        return {synthetic_bytes(std::max(kSyntheticBytes, window), seed), window, seed};
    std::vector<std::uint8_t> bytes = file_bytes(o.data);
    if (bytes.size() < window) {
        throw InputError{"--data " + o.data + " has " + std::to_string(bytes.size()) + " bytes; --seq " +
                         std::to_string(o.seq) + " needs a file of at least " + std::to_string(window)};
    }
    return {std::move(bytes), window, seed};
}

// What makes a step useless, in words.
std::optional<std::string> step_fault(const StepReport& report, std::int64_t step) {
    const std::string where = " at step " + std::to_string(step);
    if (!std::isfinite(report.loss)) return "the loss is " + std::to_string(report.loss) + where;
    if (!std::isfinite(report.grad_norm) && !report.overflowed) {
        return "the gradient norm is " + std::to_string(report.grad_norm) + where;
    }
    return std::nullopt;
}

class StepLog {
  public:
    explicit StepLog(tools::Output& output)
        : output_{output},
          csv_{output.artifacts / "training.csv", {"step", "loss", "grad_norm", "tokens_per_s"}} {}

    void write(std::int64_t step, const StepReport& report, double step_ms, double tokens) {
        const double tokens_per_s = tokens / step_ms * 1e3;
        metric("loss", report.loss, "nat", step);
        metric("grad_norm", report.grad_norm, "1", step);
        metric("tokens_per_s", tokens_per_s, "tok/s", step);
        metric("step_ms", step_ms, "ms", step);
        csv_.row({std::to_string(step), tools::csv_number(report.loss), tools::csv_number(report.grad_norm),
                  tools::csv_number(tokens_per_s)});
        std::cout << "step " << step << ": loss " << report.loss << ", gradient norm " << report.grad_norm
                  << ", " << tokens_per_s << " tok/s"
                  << (report.overflowed ? " (fp16 overflow: not applied, loss scale halved)" : "")
                  << std::endl;
    }

  private:
    void metric(const char* name, double value, const char* unit, std::int64_t step) {
        output_.results.write(Metric{.name = name, .value = value, .unit = unit, .sample = step});
    }

    tools::Output& output_;
    tools::CsvWriter csv_;
};

struct Progress {
    std::int64_t steps_done = 0;
    std::int64_t overflowed = 0;
    std::optional<std::string> fault;
};

Progress train(Trainer& trainer, WindowSampler& sampler, const TrainSmokeOptions& o, tools::Output& output) {
    Progress progress;
    StepLog log{output};
    for (std::int64_t step = 0; step < o.steps && !progress.fault; ++step) {
        const auto start = std::chrono::steady_clock::now();
        const StepReport report = trainer.step(sampler.draw(static_cast<std::size_t>(o.batch)));
        const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
        log.write(step, report, elapsed.count(), static_cast<double>(o.batch * o.seq));
        progress.fault = step_fault(report, step);
        if (report.overflowed) ++progress.overflowed;
        if (!progress.fault) ++progress.steps_done;
    }
    return progress;
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
    for (const auto& [branch, choice] : trainer.routes())
        tools::write_route_facts(output, branch, choice);
    if (policy.sdpa_audit) tools::write_audit_facts(output, trainer.audit());
}

}  // namespace

void add_flags(tools::FlagTable& table, TrainSmokeOptions& o) {
    constexpr std::int64_t kMany = 1 << 20;
    table.integer("--steps", o.steps, 1, INT64_C(1) << 40, "optimiser steps")
        .integer("--dim", o.dim, 1, 65536, "width of the residual stream")
        .integer("--heads", o.heads, 1, 1024, "query heads")
        .integer("--groups", o.groups, 1, 1024, "key/value heads; divides --heads")
        .integer("--dk", o.dk, 2, 1024, "width of a query and of a key; even, for rotary positions")
        .integer("--dv", o.dv, 1, 1024, "width of a value")
        .integer("--seq", o.seq, 1, kMany, "bytes in a sequence")
        .integer("--batch", o.batch, 1, kMany, "sequences in a step")
        .integer("--layers", o.layers, 1, 1024, "layers of attention and MLP")
        .positive("--lr", o.lr, "learning rate of AdamW");
    tools::add_dtype_flag(table, o.dtype);
    tools::add_device_flag(table, o.device);
    table.integer("--seed", o.seed, 0, INT64_C(1) << 53, "seed of weights and data")
        .text("--data", o.data, "synthetic|FILE", "a made-up language, or any file, read as bytes");
}

tools::Outcome run(const TrainSmokeOptions& options, tools::Output& output) {
    const NsaConfig config = config_of(options);
    const RoutePolicy policy = RoutePolicy::from_env();
    const auto device = tools::choose_device(options.device);
    if (const auto* skipped = std::get_if<tools::Skipped>(&device)) return *skipped;
    const auto kind = std::get<tools::DeviceKind>(device);

    tools::write_run_facts(output, kind, options.dtype, options.seed);
    WindowSampler sampler = sampler_of(options);
    Trainer trainer{config, options, policy, kind};
    const Progress progress = train(trainer, sampler, options, output);
    write_summary(output, options, policy, trainer, progress);
    tools::write_peak_memory(output, kind);
    if (progress.fault) return tools::Failed{"training failed: " + *progress.fault};
    return tools::Done{};
}

}  // namespace nsa::core::train
