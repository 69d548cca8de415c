// Protocol. At each S the inputs are made once. One sample of a pass is
//   ms_total  the whole, one measurement
//   the parts, each a measurement of its own on inputs that were computed before (prefill_pieces.hpp)
// Backward is timed on a graph that its forward pass has just made; a step is both in one measurement. The
// parts follow the total within each sample, so that a slow drift of clocks meets all alike; full attention
// comes after them in a pass of its own, for it draws so much power that clocks would fall under the rest. So
// the parts must sum to the total within the confidence intervals of both, up to a launch each; that is
// checked, not forced.
#include "nsa_core/bench/prefill_bench.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <iostream>

#include "nsa_core/bench/prefill_rows.hpp"
#include "nsa_core/bench/prefill_subject.hpp"
#include "nsa_core/bench/prefill_timer.hpp"
#include "nsa_core/device.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/tools/route_check.hpp"
#include "nsa_core/tools/torch_device.hpp"

namespace nsa::core::bench {
namespace {

using Gradients = std::vector<at::Tensor>;

void forget_gradients(const Piece& piece) {
    for (const at::Tensor& leaf : piece.leaves)
        leaf.mutable_grad() = at::Tensor{};
}

// One pass of one piece, timed. `gradients` are of the piece's outputs.
double sample(const PrefillTimer& timer, Pass pass, const Piece& piece, const Gradients& gradients) {
    if (pass == Pass::kForward || piece.leaves.empty()) {
        const c10::NoGradGuard no_grad;
        return timer.milliseconds([&] { (void)piece.forward(); });
    }
    forget_gradients(piece);
    if (pass == Pass::kStep)
        return timer.milliseconds([&] { torch::autograd::backward(piece.forward(), gradients); });
    const std::vector<at::Tensor> outputs = piece.forward();
    // All at once: one function may have made several of them.
    return timer.milliseconds([&] { torch::autograd::backward(outputs, gradients); });
}

Gradients gradients_for(Pass pass, const Piece& piece) {
    Gradients gradients;
    if (pass == Pass::kForward) return gradients;
    const c10::NoGradGuard no_grad;
    for (const at::Tensor& output : piece.forward())
        gradients.push_back(output.is_floating_point() ? at::randn_like(output) : at::Tensor{});
    return gradients;
}

// Relative distance of what the parts compute, one after another, from what the whole computes.
double parts_error(const Piece& whole, const std::vector<Piece>& parts) {
    const c10::NoGradGuard no_grad;
    const at::Tensor expected = whole.forward().front().to(at::kFloat);
    const at::Tensor found = parts.back().forward().front().to(at::kFloat);
    return (found - expected).norm().item<double>() / expected.norm().item<double>();
}

double peak_of(Pass pass, const Piece& whole, const Gradients& gradients, at::Device device,
               const PrefillTimer& timer) {
    forget_peak_memory(device);
    (void)sample(timer, pass, whole, gradients);
    return peak_memory_bytes(device);
}

void sample_ours(const PrefillBenchOptions& o, const PrefillTimer& timer, const Piece& whole,
                 const std::vector<Piece>& parts, const tools::GpuMonitor* monitor, PrefillTimes& times) {
    std::vector<const Piece*> pieces{&whole};
    for (const Piece& part : parts) {
        if (part.runs(times.pass)) pieces.push_back(&part);
    }
    std::vector<Gradients> gradients;
    for (const Piece* piece : pieces)
        gradients.push_back(gradients_for(times.pass, *piece));
    for (std::int64_t i = -o.warmup; i < o.samples; ++i) {
        for (std::size_t p = 0; p < pieces.size(); ++p) {
            const double ms = sample(timer, times.pass, *pieces[p], gradients[p]);
            if (i >= 0) times.series[pieces[p]->metric].push_back(ms);
        }
        if (i < 0 || !monitor) continue;
        if (const auto state = monitor->state()) times.states.push_back(*state);
    }
    for (const Piece* piece : pieces)
        forget_gradients(*piece);
}

std::string first_sentence(const std::string& text) {
    const std::string line = text.substr(0, text.find('\n'));
    return line.substr(0, line.find(". "));
}

// A library that lacks a shape or device says so by throwing; the first sentence is the reason. Torch's own
// choice stands in where neither of the other two runs.
void sample_peers(const PrefillBenchOptions& o, const PrefillTimer& timer, const std::vector<Piece>& peers,
                  PrefillTimes& times) {
    bool any = false;
    for (const Piece& peer : peers) {
        if (any && peer.metric == "ms_sdpa") continue;
        std::vector<double> series;
        try {
            const Gradients gradients = gradients_for(times.pass, peer);
            for (std::int64_t i = -o.warmup; i < o.samples; ++i) {
                const double ms = sample(timer, times.pass, peer, gradients);
                if (i >= 0) series.push_back(ms);
            }
        } catch (const std::exception& error) {
            times.not_there[peer.metric.substr(3)] = first_sentence(error.what());
            continue;
        }
        forget_gradients(peer);
        times.series[peer.metric] = std::move(series);
        any = true;
    }
}

void write_facts(tools::Output& output, const PrefillBenchOptions& o, const PrefillTimer& timer,
                 const std::string& monitor) {
    const auto fact = [&](const char* name, std::string value) {
        output.results.write(tools::Fact{.name = name, .value = std::move(value)});
    };
    fact("scope", o.scope == Scope::kAttention ? "attention" : "module");
    fact("timer", timer.kind());
    fact("warmup", std::to_string(o.warmup));
    fact("cache_policy", o.cache_policy == CachePolicy::kWarm ? "warm" : "cold");
    fact("queries", o.queries == Queries::kCorrelated ? "correlated" : "independent");
    fact("batch", std::to_string(o.batch));
    fact("gpu_monitor", monitor);
}

// Everything that stays the same from length to length.
struct Bench {
    const PrefillBenchOptions& options;
    at::TensorOptions tensor_options;
    PrefillTimer timer;
    const tools::GpuMonitor* monitor;  // null: no GPU
    Ceilings ceilings;
};

void run_length(const Bench& bench, const Subject& subject, tools::Output& output, PrefillReport& report) {
    const PrefillBenchOptions& o = bench.options;
    const at::Device device = bench.tensor_options.device();
    std::map<Pass, PrefillTimes> rows;
    for (const Pass pass : kPasses) {
        if (o.pass && *o.pass != pass) continue;
        PrefillTimes& times = rows[pass];
        times.shape = subject.shape;
        times.pass = pass;
        times.gpu = device.is_cuda();
        times.unique_blocks = subject.unique_blocks;
        if (bench.monitor) {
            times.why_no_monitor = bench.monitor->why_not();
            times.max_sm_clock_mhz = bench.monitor->max_sm_clock_mhz();
        }
        times.peak_memory_bytes =
            peak_of(pass, subject.whole, gradients_for(pass, subject.whole), device, bench.timer);
        forget_gradients(subject.whole);
    }
    const std::vector<Piece> parts = subject.parts();
    output.results.write(tools::Metric{.name = "parts_error",
                                       .value = parts_error(subject.whole, parts),
                                       .labels = {{"S", std::to_string(subject.shape.seq)}}});
    for (auto& [pass, times] : rows)
        sample_ours(o, bench.timer, subject.whole, parts, bench.monitor, times);
    const std::vector<Piece> peers = o.peers && subject.peers ? subject.peers() : std::vector<Piece>{};
    for (auto& [pass, times] : rows) {
        sample_peers(o, bench.timer, peers, times);
        report.add(times, summarise(times, bench.ceilings));
    }
}

void run_lengths(const Bench& bench, const NsaConfig& config, const RoutePolicy& policy,
                 tools::Output& output) {
    const PrefillBenchOptions& o = bench.options;
    const at::Device device = bench.tensor_options.device();
    std::optional<NSAAttention> module;
    if (o.scope == Scope::kModule) {
        module.emplace(config, bench.tensor_options, static_cast<std::uint64_t>(o.seed), policy);
        module->ask_route(o.route);
    }
    PrefillReport report{output};
    for (const std::int64_t seq : o.seq) {
        const RoutesTaken routes = choose_prefill_routes(o, config, seq, device, policy);
        run_length(bench,
                   module ? module_subject(o, *module, seq, bench.tensor_options, routes)
                          : attention_subject(o, config, seq, bench.tensor_options, routes),
                   output, report);
        const tools::Labels labels{{"S", std::to_string(seq)}};
        tools::write_route_facts(output, Branch::kCompressed, routes.cmp, labels);
        tools::write_route_facts(output, Branch::kSelected, routes.sel, labels);
        tools::write_route_facts(output, Branch::kSliding, routes.win, labels);
    }
    report.finish();
}

}  // namespace

void add_flags(tools::FlagTable& table, PrefillBenchOptions& o) {
    add_scope_flag(table, o);
    table
        .choice<std::optional<Pass>>("--pass", o.pass,
                                     {{"all", std::nullopt},
                                      {"forward", Pass::kForward},
                                      {"backward", Pass::kBackward},
                                      {"step", Pass::kStep}},
                                     "step: forward and backward in one measurement")
        .choice("--route", o.route, tools::sequence_routes(), "auto: as the environment flags say");
    add_size_flags(table, o);
    tools::add_compressor_flags(table, o.compression);
    table
        .choice("--queries", o.queries,
                {{"independent", Queries::kIndependent}, {"correlated", Queries::kCorrelated}},
                "correlated: q_t = 0.95 q_(t-1) + noise, so that neighbours select alike")
        .choice("--peers", o.peers, {{"on", true}, {"off", false}}, "attention: full attention beside ours");
    add_floor_flags(table, o);
}

tools::Outcome run(const PrefillBenchOptions& o, tools::Output& output) {
    NsaConfig config = tools::config_of(o, o.dim);
    config.compressor = o.compression.compressor;
    config.phi_hidden = o.compression.phi_hidden;
    const auto choice = tools::choose_device(o.device);
    if (const auto* skipped = std::get_if<tools::Skipped>(&choice)) return *skipped;
    const auto device = std::get<tools::DeviceKind>(choice);
    const auto options = at::TensorOptions{scalar_type(o.dtype)}.device(tools::torch_device(device));
    const RoutePolicy policy = RoutePolicy::from_env();
    if (policy.force_branch)
        throw InputError("prefill-bench times every branch and takes no NSA_FORCE_BRANCH");
    if (policy.sdpa_audit) throw InputError("NSA_SDPA_AUDIT=1 waits for every call, which would be timed");
    if (const auto reason = unavailable(o, config, options.device(), policy)) return tools::Skipped{*reason};
    at::manual_seed(static_cast<std::uint64_t>(o.seed));
    std::optional<tools::GpuMonitor> monitor;
    if (device == tools::DeviceKind::kCuda) monitor.emplace(tools::visible_gpus().front().uuid);

    tools::write_run_facts(output, device, o.dtype, o.seed);
    const PrefillTimer timer{options.device(), o.cache_policy};
    write_facts(output, o, timer,
                !monitor                     ? "none: no GPU is used"
                : monitor->why_not().empty() ? "nvml"
                                             : "none: " + monitor->why_not());
    run_lengths({.options = o,
                 .tensor_options = options,
                 .timer = timer,
                 .monitor = monitor ? &*monitor : nullptr,
                 .ceilings = prefill_ceilings(o, output, options)},
                config, policy, output);
    return tools::Done{};
}

}  // namespace nsa::core::bench
