// Protocol of --scope attention. At each S a paged cache holds batch sequences of S - 1 tokens in shuffled
// pages, and the step that makes them S long is captured in a CUDA graph and replayed; it repeats itself,
// since a step does not advance positions. One sample is
//   ms_total  one replay between two events (graph_timer.hpp)
//   ms_step   a replay among many that follow one another at once: what a loop of captured steps pays
//   ms_rest   what the device takes to start a graph of as many empty kernels: launch, told from work
//   ms_cmp, ms_sel, ms_win   the branches, each a graph of its own, less the start of an empty graph
// In the step the branches overlap: the second kernel begins beside the first, and the window is read while
// blocks are being chosen. So the parts may add up to more than the total; ms_residual = ms_total - parts -
// ms_rest says by how much, and is a column of its own rather than hidden in a part. Full attention stands
// beside it, timed alike.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <map>

#include "nsa_core/bench/decode_bench.hpp"
#include "nsa_core/bench/floor.hpp"
#include "nsa_core/bench/full_attention.hpp"
#include "nsa_core/bench/graph_timer.hpp"
#include "nsa_core/device.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/parity/metrics.hpp"
#include "nsa_core/routes/cuda_decode.hpp"
#include "nsa_core/tools/csv.hpp"
#include "nsa_core/tools/gpu_monitor.hpp"
#include "nsa_core/tools/samples.hpp"
#include "nsa_core/tools/torch_device.hpp"

namespace nsa::core::bench {
namespace {

using tools::Fact;
using tools::Labels;
using tools::MedianInterval;
using tools::Metric;

// A paged cache of random rows and the token that comes next; with what a step writes.
struct Setup {
    PagedCache cache;
    PagedStepInputs in;
    PagedStepOutputs counted;  // with blocks and counters
    PagedStepOutputs timed;    // output only
};

KeysValues random_rows(const NsaConfig& c, std::int64_t batch, at::TensorOptions options) {
    return {.k = at::randn({batch, c.groups, c.dk}, options),
            .v = at::randn({batch, c.groups, c.dv}, options)};
}

PagedCache random_cache(const DecodeBenchOptions& o, const NsaConfig& c, std::int64_t seq,
                        at::TensorOptions options) {
    const std::int64_t per_sequence = (seq + o.page - 1) / o.page;
    at::Generator generator = parity::seeded_generator(o.seed);
    const at::Tensor order = at::randperm(per_sequence * o.batch, generator, at::TensorOptions{at::kInt});
    PagedCache cache{c,
                     {.batch = o.batch, .max_tokens = seq, .page_tokens = o.page, .pages = order.numel()},
                     options,
                     {order.const_data_ptr<int>(), order.const_data_ptr<int>() + order.numel()}};
    for (std::int64_t b = 0; b < o.batch; ++b)
        cache.reserve(b, seq);
    for (const KeysValues* rows : {&cache.raw(), &cache.cmp(), &cache.sel(), &cache.win()}) {
        rows->k.normal_();
        rows->v.normal_();
    }
    cache.position().fill_(seq - 1);
    return cache;
}

Setup make_setup(const DecodeBenchOptions& o, const NsaConfig& c, std::int64_t seq,
                 at::TensorOptions options) {
    const auto index = options.dtype(at::kInt);
    const at::Tensor out = at::empty({o.batch, c.heads, c.dv}, options);
    return {.cache = random_cache(o, c, seq, options),
            .in = {.q = at::randn({o.batch, c.heads, c.dk}, options),
                   .gates = at::rand({o.batch, c.heads, 3}, options),
                   .raw = random_rows(c, o.batch, options),
                   .sel = random_rows(c, o.batch, options),
                   .win = random_rows(c, o.batch, options)},
            .counted = {.out = out,
                        .blocks = at::empty({o.batch, c.groups, c.n}, index),
                        .reads = at::zeros({o.batch, c.groups, 3}, index)},
            .timed = {.out = out, .blocks = {}, .reads = {}}};
}

// Keys per sequence and group, which must all agree: the sequences are equally long.
Reads counted_reads(CudaDecode& step, const Setup& setup) {
    step.step(setup.in, setup.cache, setup.counted);
    const at::Tensor reads = setup.counted.reads.cpu().flatten(0, 1).to(at::kLong);
    TORCH_CHECK(reads.eq(reads[0]).all().item<bool>(),
                "sequences of one length read different numbers of keys");
    return {.cmp = reads[0][0].item<std::int64_t>(),
            .sel = reads[0][1].item<std::int64_t>(),
            .win = reads[0][2].item<std::int64_t>()};
}

// Everything that is timed at one length.
struct Graphs {
    Captured total;
    Captured cmp;
    Captured sel;
    Captured win;
    Captured empty_total;  // as many empty kernels as the step has
    Captured empty_part;
    std::vector<Peer> peers;
};

Graphs capture(CudaDecode& step, const Setup& setup, std::int64_t seq, at::Device device) {
    const auto part = [&](cuda::DecodePart which) {
        return Captured{[&step, &setup, which] { step.step(setup.in, setup.cache, setup.timed, which); }};
    };
    Captured total = part(cuda::DecodePart::kAll);
    Captured cmp = part(cuda::DecodePart::kCompressed);
    const std::size_t nodes = total.nodes();
    const std::size_t part_nodes = cmp.nodes();
    return {
        .total = std::move(total),
        .cmp = std::move(cmp),
        .sel = part(cuda::DecodePart::kSelected),
        .win = part(cuda::DecodePart::kSliding),
        .empty_total = capture_empty(nodes, device),
        .empty_part = capture_empty(part_nodes, device),
        .peers = capture_peers(setup.cache.config(), setup.cache.size().batch, seq, setup.in.q.options())};
}

// Raw samples by metric name, milliseconds.
using Series = std::map<std::string, std::vector<double>>;

// So many replays that they last long against the events around them, and no longer than needed.
int replays_for(double once_ms) {
    constexpr double kLastingMs = 4;
    return static_cast<int>(std::clamp(kLastingMs / once_ms, 4.0, 200.0));
}

void take_sample(const GraphTimer& timer, Graphs& graphs, const std::map<std::string, int>& replays,
                 bool warm, Series& series) {
    const double empty_part = timer.once(graphs.empty_part);
    series["ms_total"].push_back(timer.once(graphs.total));
    series["ms_rest"].push_back(timer.once(graphs.empty_total));
    series["ms_cmp"].push_back(timer.once(graphs.cmp) - empty_part);
    series["ms_sel"].push_back(timer.once(graphs.sel) - empty_part);
    series["ms_win"].push_back(timer.once(graphs.win) - empty_part);
    if (warm) series["ms_step"].push_back(timer.back_to_back(graphs.total, replays.at("step")));
    for (Peer& peer : graphs.peers) {
        if (!peer.graph) continue;
        series["ms_" + peer.name].push_back(timer.once(*peer.graph));
        if (warm)
            series["ms_step_" + peer.name].push_back(timer.back_to_back(*peer.graph, replays.at(peer.name)));
    }
}

struct LengthResult {
    std::int64_t seq = 0;
    Series series;
    std::vector<tools::GpuState> states;  // one for each sample, when they can be had
    Reads actual;
    Reads expected;
    std::string plan;
    std::map<std::string, std::string> missing_peers;
};

LengthResult measure(const DecodeBenchOptions& o, const NsaConfig& c, std::int64_t seq,
                     at::TensorOptions options, const tools::GpuMonitor& monitor) {
    const Setup setup = make_setup(o, c, seq, options);
    CudaDecode step{setup.cache};
    LengthResult result{.seq = seq, .expected = expected_reads(seq - 1, c), .plan = step.plan_text()};
    result.actual = counted_reads(step, setup);
    Graphs graphs = capture(step, setup, seq, options.device());
    const GraphTimer timer{options.device(), o.cache_policy};
    std::map<std::string, int> replays{{"step", replays_for(timer.once(graphs.total))}};
    for (Peer& peer : graphs.peers) {
        if (peer.graph) replays[peer.name] = replays_for(timer.once(*peer.graph));
        if (!peer.graph) result.missing_peers[peer.name] = peer.why_not;
    }
    const bool warm = o.cache_policy == CachePolicy::kWarm;
    Series thrown_away;
    for (std::int64_t i = 0; i < o.warmup; ++i)
        take_sample(timer, graphs, replays, warm, thrown_away);
    for (std::int64_t i = 0; i < o.samples; ++i) {
        take_sample(timer, graphs, replays, warm, result.series);
        if (const auto state = monitor.state()) result.states.push_back(*state);
    }
    return result;
}

// One line of the table, by column name; what could not be measured is absent.
using Row = std::map<std::string, double>;

Row summarise(const LengthResult& result, const DecodeBenchOptions& o, const NsaConfig& c,
              const Ceilings& ceilings) {
    Row row;
    for (const auto& [name, samples] : result.series) {
        const MedianInterval median = tools::median_interval(samples);
        row[name] = median.median;
        row[name + "_low"] = median.low;
        row[name + "_high"] = median.high;
    }
    row["ms_residual"] = row["ms_total"] - row["ms_cmp"] - row["ms_sel"] - row["ms_win"] - row["ms_rest"];
    constexpr std::int64_t kHalfBytes = 2;
    const Work work = step_work(c, o.batch, result.seq, kHalfBytes);
    const Floor floor = floor_of(work, ceilings);
    row["bytes"] = work.bytes;
    row["flops"] = work.flops;
    row["ms_floor"] = floor.ms();
    row["percent_of_floor"] = floor.percent(row["ms_total"]);
    if (row.contains("ms_step")) row["percent_of_floor_step"] = floor.percent(row["ms_step"]);
    for (const char* peer : {"cudnn", "fa2"}) {
        const std::string name{peer};
        if (row.contains("ms_" + name)) row["speedup_vs_" + name] = row["ms_" + name] / row["ms_total"];
        if (row.contains("ms_step_" + name))
            row["speedup_step_vs_" + name] = row["ms_step_" + name] / row["ms_step"];
    }
    const auto throttled = std::count_if(result.states.begin(), result.states.end(), [](const auto& s) {
        return tools::is_throttled(s.throttle_reasons);
    });
    if (!result.states.empty()) {
        row["throttled_samples"] = static_cast<double>(throttled);
        const auto slowest =
            std::min_element(result.states.begin(), result.states.end(),
                             [](auto& a, auto& b) { return a.sm_clock_mhz < b.sm_clock_mhz; });
        row["sm_clock_mhz_min"] = slowest->sm_clock_mhz;
    }
    row["reads_actual"] = static_cast<double>(result.actual.total());
    row["reads_expected"] = static_cast<double>(result.expected.total());
    row["samples"] = static_cast<double>(result.series.at("ms_total").size());
    return row;
}

constexpr std::array<const char*, 42> kColumns{"ms_total",
                                               "ms_total_low",
                                               "ms_total_high",
                                               "ms_step",
                                               "ms_step_low",
                                               "ms_step_high",
                                               "ms_cmp",
                                               "ms_cmp_low",
                                               "ms_cmp_high",
                                               "ms_sel",
                                               "ms_sel_low",
                                               "ms_sel_high",
                                               "ms_win",
                                               "ms_win_low",
                                               "ms_win_high",
                                               "ms_rest",
                                               "ms_rest_low",
                                               "ms_rest_high",
                                               "ms_residual",
                                               "ms_floor",
                                               "percent_of_floor",
                                               "percent_of_floor_step",
                                               "bytes",
                                               "flops",
                                               "ms_cudnn",
                                               "ms_cudnn_low",
                                               "ms_cudnn_high",
                                               "ms_step_cudnn",
                                               "ms_fa2",
                                               "ms_fa2_low",
                                               "ms_fa2_high",
                                               "ms_step_fa2",
                                               "speedup_vs_cudnn",
                                               "speedup_step_vs_cudnn",
                                               "speedup_vs_fa2",
                                               "speedup_step_vs_fa2",
                                               "reads_actual",
                                               "reads_expected",
                                               "samples",
                                               "throttled_samples",
                                               "sm_clock_mhz_min",
                                               "batch"};

std::vector<std::string> csv_header() {
    std::vector<std::string> header{"S"};
    header.insert(header.end(), kColumns.begin(), kColumns.end());
    return header;
}

std::string unit_of(const std::string& name) {
    if (name.starts_with("ms_")) return "ms";
    if (name.starts_with("percent_")) return "%";
    return "1";
}

void write_reads(tools::Output& output, const Labels& labels, const std::string& prefix, const Reads& reads) {
    const auto metric = [&](const char* branch, std::int64_t keys) {
        output.results.write(Metric{.name = prefix + branch,
                                    .value = static_cast<double>(keys),
                                    .unit = "keys",  // per sequence and KV group
                                    .labels = labels});
    };
    metric("_total", reads.total());
    metric("_cmp", reads.cmp);
    metric("_sel", reads.sel);
    metric("_win", reads.win);
}

void write_length(tools::Output& output, const LengthResult& result, const Row& row) {
    const Labels labels{{"S", std::to_string(result.seq)}};
    for (const auto& [name, samples] : result.series) {
        for (std::size_t i = 0; i < samples.size(); ++i) {
            output.results.write(Metric{.name = name,
                                        .value = samples[i],
                                        .unit = "ms",
                                        .labels = labels,
                                        .sample = static_cast<std::int64_t>(i)});
        }
    }
    for (std::size_t i = 0; i < result.states.size(); ++i) {
        const auto metric = [&](const char* name, double value, const char* unit) {
            output.results.write(Metric{.name = name,
                                        .value = value,
                                        .unit = unit,
                                        .labels = labels,
                                        .sample = static_cast<std::int64_t>(i)});
        };
        metric("sm_clock", result.states[i].sm_clock_mhz, "MHz");
        metric("memory_clock", result.states[i].memory_clock_mhz, "MHz");
        metric("gpu_power", result.states[i].power_w, "W");
        metric("throttle_reasons", static_cast<double>(result.states[i].throttle_reasons), "bits");
    }
    for (const char* name : {"ms_residual", "ms_floor", "percent_of_floor", "percent_of_floor_step",
                             "speedup_vs_cudnn", "speedup_step_vs_cudnn", "speedup_vs_fa2",
                             "speedup_step_vs_fa2", "bytes", "flops", "throttled_samples"}) {
        const auto value = row.find(name);
        if (value == row.end()) continue;
        output.results.write(
            Metric{.name = name, .value = value->second, .unit = unit_of(name), .labels = labels});
    }
    write_reads(output, labels, "reads_actual", result.actual);
    write_reads(output, labels, "reads_expected", result.expected);
    output.results.write(Fact{.name = "plan", .value = result.plan, .labels = labels});
    for (const auto& [peer, why] : result.missing_peers)
        output.results.write(Fact{.name = "no_" + peer, .value = why, .labels = labels});
}

void write_row(tools::CsvWriter& csv, std::int64_t seq, std::int64_t batch, Row row) {
    row["batch"] = static_cast<double>(batch);
    std::vector<std::string> cells{std::to_string(seq)};
    for (const char* column : kColumns) {
        const auto value = row.find(column);
        cells.push_back(value == row.end() ? "" : tools::csv_number(value->second));
    }
    csv.row(cells);
}

void write_json(const std::filesystem::path& path, const std::vector<std::pair<std::int64_t, Row>>& rows,
                std::int64_t batch) {
    std::string text = "[";
    for (const auto& [seq, row] : rows) {
        text += (text.size() > 1 ? ",\n " : "") + std::string{"{\"S\": "} + std::to_string(seq) +
                ", \"batch\": " + std::to_string(batch);
        for (const auto& [name, value] : row)
            text += ", " + tools::json_text(name) + ": " + tools::json_number(value);
        text += "}";
    }
    std::ofstream file{path};
    file << text << "]\n";
    if (!file.flush()) throw std::runtime_error{"cannot write " + path.string()};
}

void print_row(std::int64_t seq, std::int64_t batch, const Row& row, const std::string& plan) {
    const auto text = [&](const char* name) {
        const auto value = row.find(name);
        return value == row.end() ? std::string{"-"} : tools::csv_number(value->second);
    };
    std::cout << "S=" << seq << " batch=" << batch << ": once " << text("ms_total") << " ms ["
              << text("ms_total_low") << ", " << text("ms_total_high") << "], in a row " << text("ms_step")
              << "; cmp " << text("ms_cmp") << ", sel " << text("ms_sel") << ", win " << text("ms_win")
              << ", launch " << text("ms_rest") << ", residual " << text("ms_residual") << "; floor "
              << text("ms_floor") << " (" << text("percent_of_floor") << " %, in a row "
              << text("percent_of_floor_step") << " %); cudnn " << text("ms_cudnn") << " / "
              << text("ms_step_cudnn") << ", fa2 " << text("ms_fa2") << " / " << text("ms_step_fa2")
              << "; keys " << text("reads_actual") << " of " << text("reads_expected") << "; " << plan
              << std::endl;
}

Ceilings ceilings_of(const DecodeBenchOptions& o, tools::Output& output, at::Device device) {
    const double gb_s =
        o.bandwidth_gb_s > 0 ? static_cast<double>(o.bandwidth_gb_s) : measure_read_gb_s(device);
    const double tflop_s =
        o.tensor_tflop_s > 0 ? static_cast<double>(o.tensor_tflop_s) : measure_tensor_tflop_s(device);
    const auto ceiling = [&](const char* name, double value, const char* unit, bool given) {
        output.results.write(Metric{.name = name, .value = value, .unit = unit});
        output.results.write(
            Fact{.name = std::string{name} + "_source", .value = given ? "flag" : "measured"});
    };
    ceiling("bandwidth", gb_s, "GB/s", o.bandwidth_gb_s > 0);
    ceiling("tensor_rate", tflop_s, "TFLOP/s", o.tensor_tflop_s > 0);
    std::cout << "memory is read at " << gb_s << " GB/s, bf16 products at " << tflop_s << " TFLOP/s"
              << std::endl;
    constexpr double kGiga = 1e9;
    constexpr double kTera = 1e12;
    return {.bytes_per_s = gb_s * kGiga, .flops_per_s = tflop_s * kTera};
}

void write_facts(tools::Output& output, const DecodeBenchOptions& o, const tools::GpuMonitor& monitor) {
    const auto fact = [&](const char* name, std::string value) {
        output.results.write(Fact{.name = name, .value = std::move(value)});
    };
    fact("scope", "attention");
    fact("timer", "cuda_event around a replayed graph");
    fact("warmup", std::to_string(o.warmup));
    fact("cache_policy", o.cache_policy == CachePolicy::kWarm ? "warm" : "cold");
    fact("batch", std::to_string(o.batch));
    fact("gpu_monitor", monitor.why_not().empty() ? "nvml" : "none: " + monitor.why_not());
}

}  // namespace

tools::Outcome run_attention(const DecodeBenchOptions& o, tools::Output& output) {
    const NsaConfig config = config_of(o);
    const auto choice = tools::choose_device(o.device);
    if (const auto* skipped = std::get_if<tools::Skipped>(&choice)) return *skipped;
    const auto device = std::get<tools::DeviceKind>(choice);
    const std::vector<tools::GpuInfo> gpus = tools::visible_gpus();
    const StepRequest request{.config = config,
                              .dtype = o.dtype,
                              .page_tokens = o.page,
                              .max_tokens = *std::max_element(o.seq.begin(), o.seq.end()),
                              .cuda = device == tools::DeviceKind::kCuda,
                              .sm = gpus.empty() ? 0 : gpus.front().sm,
                              .kernels = kernels_built()};
    const RouteChoice route = choose_route(Route::kCuda, request);
    if (route.taken != Route::kCuda) return tools::Skipped{route.reason};

    const c10::NoGradGuard no_grad;
    const auto options = at::TensorOptions{scalar_type(o.dtype)}.device(tools::torch_device(device));
    const tools::GpuMonitor monitor{gpus.front().uuid};
    tools::write_run_facts(output, device, o.dtype, o.seed);
    write_facts(output, o, monitor);
    const Ceilings ceilings = ceilings_of(o, output, options.device());
    tools::CsvWriter csv{output.artifacts / "decode.csv", csv_header()};
    std::vector<std::pair<std::int64_t, Row>> rows;
    for (const std::int64_t seq : o.seq) {
        const LengthResult result = measure(o, config, seq, options, monitor);
        const Row row = summarise(result, o, config, ceilings);
        write_length(output, result, row);
        for (const Branch branch : kBranches)
            tools::write_route_facts(output, branch, route, {{"S", std::to_string(seq)}});
        write_row(csv, seq, o.batch, row);
        print_row(seq, o.batch, row, result.plan);
        rows.emplace_back(seq, row);
    }
    write_json(output.artifacts / "decode.json", rows, o.batch);
    tools::write_peak_memory(output, device);
    return tools::Done{};
}

}  // namespace nsa::core::bench
