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

#include "nsa_core/bench/decode_bench.hpp"
#include "nsa_core/bench/full_attention.hpp"
#include "nsa_core/bench/graph_rows.hpp"
#include "nsa_core/bench/graph_timer.hpp"
#include "nsa_core/device.hpp"
#include "nsa_core/parity/metrics.hpp"
#include "nsa_core/routes/cuda_decode.hpp"
#include "nsa_core/tools/torch_device.hpp"

namespace nsa::core::bench {
namespace {

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

using Series = std::map<std::string, std::vector<double>>;

// Takes warm-up samples, then those that are kept. `monitored` is called after each of those.
template <typename Sample, typename Monitored>
void repeat(const DecodeBenchOptions& o, Series& kept, const Sample& sample, const Monitored& monitored) {
    Series thrown_away;
    for (std::int64_t i = 0; i < o.warmup; ++i)
        sample(thrown_away);
    for (std::int64_t i = 0; i < o.samples; ++i) {
        sample(kept);
        monitored();
    }
}

// Single replays of the step and its parts, one after another, so that a drift of clocks meets all alike.
void sample_once(const GraphTimer& timer, Graphs& graphs, Series& series) {
    const auto once = [&](Captured& graph) { return timer.once([&] { graph.replay(); }); };
    const double empty_part = once(graphs.empty_part);
    series["ms_total"].push_back(once(graphs.total));
    series["ms_rest"].push_back(once(graphs.empty_total));
    series["ms_cmp"].push_back(once(graphs.cmp) - empty_part);
    series["ms_sel"].push_back(once(graphs.sel) - empty_part);
    series["ms_win"].push_back(once(graphs.win) - empty_part);
}

// The three kinds of samples are three passes: replays in a row and full attention draw so much power that
// the chip lowers its clocks, and single replays among them would be measured at those.
void take_samples(const DecodeBenchOptions& o, const GraphTimer& timer, Graphs& graphs,
                  const tools::GpuMonitor& monitor, GraphResult& result) {
    const auto into = [&](std::vector<tools::GpuState>& states) {
        return [&] {
            if (const auto state = monitor.state()) states.push_back(*state);
        };
    };
    repeat(
        o, result.series, [&](Series& series) { sample_once(timer, graphs, series); }, into(result.states));
    const auto in_a_row = [&](const std::string& name, Captured& graph,
                              std::vector<tools::GpuState>& states) {
        const auto replay = [&] { graph.replay(); };
        const int count = timer.count_for(replay);
        repeat(
            o, result.series,
            [&](Series& series) { series[name].push_back(timer.back_to_back(replay, count)); }, into(states));
    };
    const bool warm = o.cache_policy == CachePolicy::kWarm;
    if (warm) in_a_row("ms_step", graphs.total, result.step_states);
    for (Peer& peer : graphs.peers) {
        if (!peer.graph) {
            result.not_there[peer.name] = peer.why_not;
            continue;
        }
        const auto replay = [&] { peer.graph->replay(); };
        repeat(
            o, result.series,
            [&](Series& series) { series["ms_" + peer.name].push_back(timer.once(replay)); }, [] {});
        std::vector<tools::GpuState> unused;
        if (warm) in_a_row("ms_step_" + peer.name, *peer.graph, unused);
    }
}

GraphResult measure(const DecodeBenchOptions& o, const NsaConfig& c, std::int64_t seq,
                    at::TensorOptions options, const tools::GpuMonitor& monitor) {
    const Setup setup = make_setup(o, c, seq, options);
    CudaDecode step{setup.cache};
    const auto element_bytes = static_cast<std::int64_t>(options.dtype().itemsize());
    GraphResult result{.seq = seq,
                       .batch = o.batch,
                       .why_no_monitor = monitor.why_not(),
                       .max_sm_clock_mhz = monitor.max_sm_clock_mhz(),
                       .work = step_work(c, o.batch, seq, element_bytes),
                       .actual = counted_reads(step, setup),
                       .expected = expected_reads(seq - 1, c),
                       .plan = step.plan_text()};
    Graphs graphs = capture(step, setup, seq, options.device());
    take_samples(o, GraphTimer{options.device(), o.cache_policy}, graphs, monitor, result);
    return result;
}

}  // namespace

tools::Outcome run_attention(const DecodeBenchOptions& o, tools::Output& output) {
    const NsaConfig config = config_of(o);
    const auto choice = tools::choose_device(o.device);
    if (const auto* skipped = std::get_if<tools::Skipped>(&choice)) return *skipped;
    const auto device = std::get<tools::DeviceKind>(choice);
    const StepRequest request{.config = config,
                              .dtype = o.dtype,
                              .page_tokens = o.page,
                              .max_tokens = *std::max_element(o.seq.begin(), o.seq.end()),
                              .cuda = device == tools::DeviceKind::kCuda,
                              .sm = tools::sm_of(device),
                              .kernels = kernels_built()};
    const RouteChoice route = choose_route(Route::kCuda, request);
    if (route.taken != Route::kCuda) return tools::Skipped{route.reason};

    const c10::NoGradGuard no_grad;
    const auto options = at::TensorOptions{scalar_type(o.dtype)}.device(tools::torch_device(device));
    const tools::GpuMonitor monitor{tools::visible_gpus().front().uuid};
    tools::write_run_facts(output, device, o.dtype, o.seed);
    write_graph_facts(output, o, monitor.why_not());
    const Ceilings ceilings = ceilings_of(o, output, options.device());
    GraphReport report{output};
    for (const std::int64_t seq : o.seq) {
        const GraphResult result = measure(o, config, seq, options, monitor);
        report.add(result, summarise(result, ceilings));
        for (const Branch branch : kBranches)
            tools::write_route_facts(output, branch, route, {{"S", std::to_string(seq)}});
    }
    report.finish();
    tools::write_peak_memory(output, device);
    return tools::Done{};
}

}  // namespace nsa::core::bench
