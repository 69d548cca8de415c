// Protocol. At each S the cache holds S - 1 tokens and the step that makes the sequence S tokens long is
// repeated, the cache being cut back before each repeat. One sample is
//   ms_total  the whole step, one measurement around NSAAttention::decode
//   ms_rest   projections, cache append and gate, plus combination and output projection
//   ms_cmp, ms_sel, ms_win   the branches, each a measurement of its own
// The parts are the very functions that decode calls, started one by one on an idle device. So their sum must
// be near ms_total and can be checked; it is not forced to be. Every branch is computed before the gate: a
// forced gate (NSA_FORCE_BRANCH) changes the output and no time. Parts follow the total within each sample,
// so that a slow drift of clocks hits all five alike. Caches are warm: the same keys were read by the sample
// before.
#include "nsa_core/bench/decode_bench.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>

#include <array>
#include <iostream>

#include "nsa_core/bench/reads_output.hpp"
#include "nsa_core/bench/stopwatch.hpp"
#include "nsa_core/config.hpp"
#include "nsa_core/device.hpp"
#include "nsa_core/module.hpp"
#include "nsa_core/sdpa_audit.hpp"
#include "nsa_core/tools/csv.hpp"
#include "nsa_core/tools/samples.hpp"
#include "nsa_core/tools/torch_device.hpp"

namespace nsa::core::bench {
namespace {

using tools::Fact;
using tools::Labels;
using tools::Metric;

constexpr std::array<const char*, 5> kTimes{"ms_total", "ms_cmp", "ms_sel", "ms_win", "ms_rest"};

struct Sample {
    std::array<double, kTimes.size()> ms{};  // in the order of kTimes
};

struct LengthResult {
    std::vector<Sample> samples;
    Reads actual;    // counted by the code that gathers
    Reads expected;  // by the formula
    RoutesTaken routes;
};

// A cache of S - 1 tokens and the token that comes next, of one layer.
class StepBench {
  public:
    StepBench(const NSAAttention& module, std::int64_t batch, std::int64_t seq, std::int64_t seed,
              at::TensorOptions options)
        : module_{module},
          kept_{seq - 1},
          stopwatch_{options.device()},
          cache_{module.make_cache(batch, seq)} {
        at::Generator generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(seed));
        const at::Tensor x =
            at::randn({batch, seq, module.config().dim}, generator, at::TensorOptions{at::kDouble})
                .to(options);
        if (kept_ > 0) (void)module.prefill(x.narrow(1, 0, kept_), &cache_);
        next_ = x.select(1, kept_).contiguous();
    }

    StepResult step() {
        cache_.truncate(kept_);
        return module_.decode(next_, cache_);
    }

    Sample sample() {
        cache_.truncate(kept_);
        const double total = stopwatch_.milliseconds([&] { (void)module_.decode(next_, cache_); });

        cache_.truncate(kept_);
        StepInputs in;
        StepCompressed cmp;
        StepBranch sel;
        StepBranch win;
        const double before = stopwatch_.milliseconds([&] { in = module_.step_project(next_, cache_); });
        const double ms_cmp = stopwatch_.milliseconds([&] { cmp = module_.step_compressed(in, cache_); });
        const double ms_sel =
            stopwatch_.milliseconds([&] { sel = module_.step_selected(in, cmp.blocks, cache_); });
        const double ms_win = stopwatch_.milliseconds([&] { win = module_.step_sliding(in, cache_); });
        const double after =
            stopwatch_.milliseconds([&] { (void)module_.step_combine(in, cmp.out, sel.out, win.out); });
        return {{total, ms_cmp, ms_sel, ms_win, before + after}};
    }

  private:
    const NSAAttention& module_;
    std::int64_t kept_;
    Stopwatch stopwatch_;
    DecodeCache cache_;
    at::Tensor next_;
};

LengthResult measure(const NSAAttention& module, const DecodeBenchOptions& o, std::int64_t seq,
                     at::TensorOptions options) {
    StepBench bench{module, o.batch, seq, o.seed, options};
    for (std::int64_t i = 0; i < o.warmup; ++i)
        (void)bench.sample();
    LengthResult result;
    for (std::int64_t i = 0; i < o.samples; ++i)
        result.samples.push_back(bench.sample());
    const StepResult step = bench.step();
    result.actual = step.reads;
    result.expected = expected_reads(seq - 1, module.config());
    result.routes = step.routes;
    return result;
}

void write_length(tools::Output& output, std::int64_t seq, const LengthResult& result) {
    const Labels labels{{"S", std::to_string(seq)}};
    for (std::size_t i = 0; i < result.samples.size(); ++i) {
        for (std::size_t part = 0; part < kTimes.size(); ++part) {
            output.results.write(Metric{.name = kTimes[part],
                                        .value = result.samples[i].ms[part],
                                        .unit = "ms",
                                        .labels = labels,
                                        .sample = static_cast<std::int64_t>(i)});
        }
    }
    write_reads(output, labels, "reads_actual", result.actual);
    write_reads(output, labels, "reads_expected", result.expected);
    // By length, because a short one may fall back where a long one does not.
    tools::write_route_facts(output, Branch::kCompressed, result.routes.cmp, labels);
    tools::write_route_facts(output, Branch::kSelected, result.routes.sel, labels);
    tools::write_route_facts(output, Branch::kSliding, result.routes.win, labels);
}

std::vector<std::string> csv_header() {
    std::vector<std::string> header{"S"};
    header.insert(header.end(), kTimes.begin(), kTimes.end());
    header.insert(header.end(), {"reads_actual", "reads_expected", "samples"});
    for (const char* time : kTimes)
        header.push_back(std::string{time} + "_iqr");
    header.insert(header.end(), {"ms_total_min", "ms_total_max"});
    return header;
}

void write_row(tools::CsvWriter& csv, std::int64_t seq, const LengthResult& result) {
    std::array<tools::Spread, kTimes.size()> spread;
    for (std::size_t part = 0; part < kTimes.size(); ++part) {
        std::vector<double> values;
        for (const Sample& sample : result.samples)
            values.push_back(sample.ms[part]);
        spread[part] = tools::spread_of(std::move(values));
    }
    std::vector<std::string> row{std::to_string(seq)};
    for (const tools::Spread& s : spread)
        row.push_back(tools::csv_number(s.median));
    row.push_back(std::to_string(result.actual.total()));
    row.push_back(std::to_string(result.expected.total()));
    row.push_back(std::to_string(result.samples.size()));
    for (const tools::Spread& s : spread)
        row.push_back(tools::csv_number(s.iqr));
    row.push_back(tools::csv_number(spread[0].min));
    row.push_back(tools::csv_number(spread[0].max));
    csv.row(row);

    std::cout << "S=" << seq << ": ";
    for (std::size_t part = 0; part < kTimes.size(); ++part) {
        std::cout << kTimes[part] << " " << spread[part].median << (part + 1 < kTimes.size() ? ", " : "");
    }
    std::cout << "; keys read " << result.actual.total() << " of " << result.expected.total() << " expected"
              << std::endl;
}

void write_facts(tools::Output& output, const DecodeBenchOptions& o, const Stopwatch& stopwatch,
                 const RoutePolicy& policy) {
    const auto fact = [&](const char* name, std::string value) {
        output.results.write(Fact{.name = name, .value = std::move(value)});
    };
    fact("timer", stopwatch.kind());
    fact("warmup", std::to_string(o.warmup));
    fact("cache_policy", "warm");
    fact("forced_branch", policy.force_branch ? std::string{name(*policy.force_branch)} : "none");
}

}  // namespace

void add_flags(tools::FlagTable& table, DecodeBenchOptions& o) {
    constexpr std::int64_t kMany = 1 << 20;
    add_scope_flag(table, o);
    table.choice<std::optional<Route>>("--route", o.route, {{"auto", std::nullopt}, {"cuda", Route::kCuda}},
                                       "auto: as the environment flags say, attention by cuda");
    add_size_flags(table, o);
    table.integer("--page", o.page, 1, kMany, "attention: tokens of a cache page, a multiple of --l-sel");
    add_floor_flags(table, o);
}

NsaConfig config_of(const DecodeBenchOptions& options) {
    return tools::config_of(options, options.dim);
}

tools::Outcome run(const DecodeBenchOptions& options, tools::Output& output) {
    if (options.scope == Scope::kAttention) return run_attention(options, output);
    if (options.route == Route::kCuda) return run_captured_layer(options, output);
    const NsaConfig config = config_of(options);
    const RoutePolicy policy = RoutePolicy::from_env();
    const auto choice = tools::choose_device(options.device);
    if (const auto* skipped = std::get_if<tools::Skipped>(&choice)) return *skipped;
    const auto device = std::get<tools::DeviceKind>(choice);
    const auto tensor_options =
        at::TensorOptions{scalar_type(options.dtype)}.device(tools::torch_device(device));

    tools::write_run_facts(output, device, options.dtype, options.seed);
    write_facts(output, options, Stopwatch{tensor_options.device()}, policy);
    const c10::NoGradGuard no_grad;
    NSAAttention module{config, tensor_options, static_cast<std::uint64_t>(options.seed), policy};
    SdpaAudit audit{std::cerr};
    if (policy.sdpa_audit) module.set_audit(&audit);

    tools::CsvWriter csv{output.artifacts / "decode.csv", csv_header()};
    for (const std::int64_t seq : options.seq) {
        const LengthResult result = measure(module, options, seq, tensor_options);
        write_length(output, seq, result);
        write_row(csv, seq, result);
    }
    if (policy.sdpa_audit) {
        tools::write_audit_facts(output, {audit.calls(), audit.misaligned_calls(), audit.nan_rows()});
    }
    tools::write_peak_memory(output, device);
    return tools::Done{};
}

}  // namespace nsa::core::bench
