// Protocol. One layer is made; what it holds then, its weights, is the ground from which is counted. For each
// route, pass and length S, peak_bytes is the most that is held above that ground while the pass runs once:
// input, intermediate results, output, for decode the cache of S tokens, for train the gradients. Nothing is
// warmed up: a byte count does not vary as a time does. On the CPU one thread computes, for the scratch of
// more depends on how many of them happen to work at once.
#include "nsa_core/bench/memory_scaling.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <iostream>

#include "nsa_core/bench/memory_fit.hpp"
#include "nsa_core/device.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/module.hpp"
#include "nsa_core/routes/cuda_decode.hpp"
#include "nsa_core/tools/csv.hpp"
#include "nsa_core/tools/peak_memory.hpp"
#include "nsa_core/tools/route_check.hpp"
#include "nsa_core/tools/torch_device.hpp"

namespace nsa::core::bench {
namespace {

using tools::Fact;
using tools::Labels;
using tools::Metric;
using tools::PeakMemory;

constexpr std::int64_t kMany = 1 << 20;

const char* name_of(MemoryPass pass) {
    switch (pass) {
        case MemoryPass::kPrefill:
            return "prefill";
        case MemoryPass::kDecode:
            return "decode";
        case MemoryPass::kTrain:
            break;
    }
    return "train";
}

// Rows of a cache of `tokens` tokens, which a prefill would make with far more memory than decoding needs.
void fill(KeyValueBuffers& buffers, const NsaConfig& c, std::int64_t batch, std::int64_t rows,
          at::TensorOptions options) {
    if (rows == 0) return;
    buffers.append(at::randn({batch, c.groups, rows, c.dk}, options),
                   at::randn({batch, c.groups, rows, c.dv}, options));
}

RoutesTaken prefill(const NSAAttention& module, std::int64_t batch, std::int64_t seq,
                    at::TensorOptions options) {
    const c10::NoGradGuard no_grad;
    return module.prefill(at::randn({batch, seq, module.config().dim}, options)).routes;
}

RoutesTaken decode(const NSAAttention& module, std::int64_t batch, std::int64_t seq,
                   at::TensorOptions options, const PeakMemory& memory) {
    const c10::NoGradGuard no_grad;
    const NsaConfig& c = module.config();
    DecodeCache cache = module.make_cache(batch, seq);
    for (KeyValueBuffers* buffers : {&cache.raw(), &cache.sel(), &cache.win()})
        fill(*buffers, c, batch, seq - 1, options);
    fill(cache.cmp(), c, batch, compressed_count(seq - 1, c), options);
    memory.restart();  // filling is not decoding
    return module.decode(at::randn({batch, c.dim}, options), cache).routes;
}

RoutesTaken train(const NSAAttention& module, std::int64_t batch, std::int64_t seq,
                  at::TensorOptions options) {
    const at::Tensor x = at::randn({batch, seq, module.config().dim}, options).requires_grad_(true);
    const PrefillResult result = module.prefill(x);
    result.out.sum().backward();
    return result.routes;
}

void forget_gradients(const NSAAttention& module) {
    for (const NamedTensor& parameter : module.parameters())
        parameter.tensor.mutable_grad().reset();
}

RoutesTaken run_pass(const NSAAttention& module, MemoryPass pass, std::int64_t batch, std::int64_t seq,
                     at::TensorOptions options, const PeakMemory& memory) {
    switch (pass) {
        case MemoryPass::kPrefill:
            return prefill(module, batch, seq, options);
        case MemoryPass::kDecode:
            return decode(module, batch, seq, options, memory);
        case MemoryPass::kTrain:
            break;
    }
    return train(module, batch, seq, options);
}

struct Measured {
    MemoryPoint point;
    RoutesTaken routes;
};

Measured measure(const NSAAttention& module, MemoryPass pass, std::int64_t batch, std::int64_t seq,
                 at::TensorOptions options, const PeakMemory& memory) {
    const std::int64_t ground = memory.held();
    memory.restart();
    const RoutesTaken routes = run_pass(module, pass, batch, seq, options, memory);
    const std::int64_t peak = memory.peak() - ground;
    forget_gradients(module);
    return {.point = {.seq = seq, .bytes = peak}, .routes = routes};
}

class Report {
  public:
    explicit Report(tools::Output& output)
        : output_{output},
          csv_{output.artifacts / "memory.csv", {"route", "pass", "S", "peak_bytes", "bytes_per_token"}} {}

    void add(const Labels& row, std::int64_t batch, const Measured& measured) {
        const MemoryPoint& point = measured.point;
        const double per_token = static_cast<double>(point.bytes) / static_cast<double>(batch * point.seq);
        Labels labels = row;
        labels.emplace_back("S", std::to_string(point.seq));
        write("peak_bytes", static_cast<double>(point.bytes), "B", labels);
        write("bytes_per_token", per_token, "B/tok", labels);
        tools::write_route_facts(output_, Branch::kCompressed, measured.routes.cmp, labels);
        tools::write_route_facts(output_, Branch::kSelected, measured.routes.sel, labels);
        tools::write_route_facts(output_, Branch::kSliding, measured.routes.win, labels);
        csv_.row({row[0].second, row[1].second, std::to_string(point.seq), std::to_string(point.bytes),
                  tools::csv_number(per_token)});
    }
    void add(const Labels& row, const MemoryFit& fit) {
        write("exponent", fit.exponent, "1", row);
        write("exponent_last", fit.exponent_last, "1", row);
        std::cout << row[1].second << " by " << row[0].second << ": bytes grow as S^" << fit.exponent
                  << ", between the two longest as S^" << fit.exponent_last << std::endl;
    }

  private:
    void write(const char* name, double value, const char* unit, const Labels& labels) {
        output_.results.write(Metric{.name = name, .value = value, .unit = unit, .labels = labels});
    }

    tools::Output& output_;
    tools::CsvWriter csv_;
};

std::optional<std::string> skip_reason(const MemoryScalingOptions& o, const NsaConfig& config,
                                       const RoutePolicy& policy, tools::DeviceKind device) {
    tools::SequenceRequest request{.config = config,
                                   .dtype = o.dtype,
                                   .cuda = device == tools::DeviceKind::kCuda,
                                   .sm = tools::sm_of(device),
                                   .kernels = kernels_built(),
                                   .batch = o.batch};
    for (const std::optional<Route>& route : o.routes) {
        if (!route) continue;
        for (const MemoryPass pass : o.passes) {
            request.decode = pass == MemoryPass::kDecode;
            for (const std::int64_t seq : o.seq) {
                request.seq = seq;
                if (const auto reason = tools::why_not(*route, request, policy))
                    return std::string{name_of(pass)} + ", S=" + std::to_string(seq) + ": " + *reason;
            }
        }
    }
    return std::nullopt;
}

void check_lengths(const MemoryScalingOptions& o) {
    const auto [least, most] = std::minmax_element(o.seq.begin(), o.seq.end());
    if (*least == *most)
        throw InputError{"--seq needs at least two different lengths: an exponent is fitted"};
}

template <typename Value>
void sort_unique(std::vector<Value>& values) {
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
}

}  // namespace

void add_flags(tools::FlagTable& table, MemoryScalingOptions& o) {
    table.integers("--seq", o.seq, 1, kMany, "lengths of the sequence, two or more")
        .choices("--passes", o.passes,
                 {{"prefill", MemoryPass::kPrefill},
                  {"decode", MemoryPass::kDecode},
                  {"train", MemoryPass::kTrain}},
                 "what is run: the layer over the sequence, one step after it, or forward and backward")
        .choices("--routes", o.routes, tools::sequence_routes(),
                 "implementations; auto: as the environment flags say")
        .integer("--dim", o.dim, 1, 65536, "width of the residual stream");
    tools::add_head_flags(table, o);
    table.integer("--batch", o.batch, 1, kMany, "sequences");
    tools::add_block_flags(table, o);
    tools::add_dtype_flag(table, o.dtype);
    tools::add_device_flag(table, o.device);
    table.integer("--seed", o.seed, 0, INT64_C(1) << 53, "seed of the weights");
}

tools::Outcome run(const MemoryScalingOptions& asked, tools::Output& output) {
    MemoryScalingOptions o = asked;
    const NsaConfig config = tools::config_of(o, o.dim);
    check_lengths(o);
    sort_unique(o.seq);
    sort_unique(o.passes);
    sort_unique(o.routes);
    const RoutePolicy policy = RoutePolicy::from_env();
    const auto choice = tools::choose_device(o.device);
    if (const auto* skipped = std::get_if<tools::Skipped>(&choice)) return *skipped;
    const auto kind = std::get<tools::DeviceKind>(choice);
    if (const auto reason = skip_reason(o, config, policy, kind)) return tools::Skipped{*reason};

    const auto options = at::TensorOptions{scalar_type(o.dtype)}.device(tools::torch_device(kind));
    if (options.device().is_cpu()) at::set_num_threads(1);
    const PeakMemory memory{options.device()};
    NSAAttention module{config, options, static_cast<std::uint64_t>(o.seed), policy};
    tools::write_run_facts(output, kind, o.dtype, o.seed);
    output.results.write(Fact{.name = "memory_counted", .value = memory.method()});
    Report report{output};
    for (const std::optional<Route>& route : o.routes) {
        module.ask_route(route);
        for (const MemoryPass pass : o.passes) {
            const Labels row{{"route", tools::name_of(route)}, {"pass", name_of(pass)}};
            std::vector<MemoryPoint> points;
            for (const std::int64_t seq : o.seq) {
                const Measured measured = measure(module, pass, o.batch, seq, options, memory);
                report.add(row, o.batch, measured);
                points.push_back(measured.point);
            }
            report.add(row, fit_memory(points));
        }
    }
    tools::write_peak_memory(output, kind);
    return tools::Done{};
}

}  // namespace nsa::core::bench
