// Protocol of --scope module --route cuda: the whole layer's step as one captured kernel
// (routes/cuda_step.hpp) at each S, timed as the attention is (attention_bench.cpp): ms_total, ms_step and
// ms_rest. It has no parts that could be launched alone. Beside it ms_eager, the same layer's step through
// LibTorch, host included, as --route auto runs it.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "nsa_core/bench/decode_bench.hpp"
#include "nsa_core/bench/graph_rows.hpp"
#include "nsa_core/bench/graph_timer.hpp"
#include "nsa_core/bench/stopwatch.hpp"
#include "nsa_core/device.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/module.hpp"
#include "nsa_core/parity/metrics.hpp"
#include "nsa_core/routes/cuda_step.hpp"
#include "nsa_core/tools/torch_device.hpp"

namespace nsa::core::bench {
namespace {

std::int64_t weight_count(const NSAAttention& module) {
    std::int64_t count = 0;
    for (const NamedTensor& parameter : module.parameters())
        count += parameter.tensor.numel();
    return count;
}

// Two caches of S - 1 tokens, one for each way, and the token that comes next.
class Layer {
  public:
    Layer(const NSAAttention& module, const DecodeBenchOptions& o, std::int64_t seq,
          at::TensorOptions options)
        : module_{module},
          kept_{seq - 1},
          cache_{module.make_cache(o.batch, seq)},
          eager_cache_{module.make_cache(o.batch, seq)},
          next_{fill(o, seq, options)},
          step_{module, cache_, seq, {.graph = true, .advance = false}} {
        step_.input().copy_(next_);
    }

    void replay() { (void)step_.step(step_.input()); }

    double eager_ms(const Stopwatch& stopwatch) {
        eager_cache_.truncate(kept_);
        return stopwatch.milliseconds([&] { (void)module_.decode(next_, eager_cache_); });
    }

    [[nodiscard]] Reads counted_reads() {
        replay();
        const at::Tensor reads = step_.reads().cpu().to(at::kLong);
        TORCH_CHECK(reads.eq(reads[0]).all().item<bool>(),
                    "groups of one step read different numbers of keys");
        return {.cmp = reads[0][0].item<std::int64_t>(),
                .sel = reads[0][1].item<std::int64_t>(),
                .win = reads[0][2].item<std::int64_t>()};
    }

    [[nodiscard]] std::string plan() const { return step_.team_text(); }

  private:
    at::Tensor fill(const DecodeBenchOptions& o, std::int64_t seq, at::TensorOptions options) {
        at::Generator generator = parity::seeded_generator(o.seed);
        const at::Tensor x = parity::random_normal({o.batch, seq, module_.config().dim}, generator, options);
        if (kept_ > 0) {
            (void)module_.prefill(x.narrow(1, 0, kept_), &cache_);
            (void)module_.prefill(x.narrow(1, 0, kept_), &eager_cache_);
        }
        return x.select(1, kept_).contiguous();
    }

    const NSAAttention& module_;
    std::int64_t kept_;
    DecodeCache cache_;
    DecodeCache eager_cache_;
    at::Tensor next_;
    CudaStep step_;
};

GraphResult measure(const NSAAttention& module, const DecodeBenchOptions& o, std::int64_t seq,
                    at::TensorOptions options, const tools::GpuMonitor& monitor) {
    Layer layer{module, o, seq, options};
    const auto element_bytes = static_cast<std::int64_t>(options.dtype().itemsize());
    GraphResult result{.seq = seq,
                       .batch = o.batch,
                       .why_no_monitor = monitor.why_not(),
                       .max_sm_clock_mhz = monitor.max_sm_clock_mhz(),
                       .work = layer_work(module.config(), weight_count(module), seq, element_bytes),
                       .actual = layer.counted_reads(),
                       .expected = expected_reads(seq - 1, module.config()),
                       .plan = layer.plan()};
    const GraphTimer timer{options.device(), o.cache_policy};
    const Stopwatch stopwatch{options.device()};
    Captured empty = capture_empty(1, options.device());
    const auto replay = [&] { layer.replay(); };
    const int in_a_row = timer.count_for(replay);
    for (std::int64_t i = -o.warmup; i < o.samples; ++i) {
        const double total = timer.once(replay);
        const double start = timer.once([&] { empty.replay(); });
        const double step = timer.back_to_back(replay, in_a_row);
        const double eager = layer.eager_ms(stopwatch);
        if (i < 0) continue;
        result.series["ms_total"].push_back(total);
        result.series["ms_rest"].push_back(start);
        if (o.cache_policy == CachePolicy::kWarm) result.series["ms_step"].push_back(step);
        result.series["ms_eager"].push_back(eager);
        if (const auto state = monitor.state()) result.states.push_back(*state);
    }
    return result;
}

}  // namespace

tools::Outcome run_captured_layer(const DecodeBenchOptions& o, tools::Output& output) {
    const NsaConfig config = config_of(o);
    if (o.batch != 1) {
        throw InputError("--route cuda decodes the whole layer for one sequence, and --batch is " +
                         std::to_string(o.batch) + "; --scope attention takes batches");
    }
    const auto choice = tools::choose_device(o.device);
    if (const auto* skipped = std::get_if<tools::Skipped>(&choice)) return *skipped;
    const auto device = std::get<tools::DeviceKind>(choice);
    const auto options = at::TensorOptions{scalar_type(o.dtype)}.device(tools::torch_device(device));
    const c10::NoGradGuard no_grad;
    const NSAAttention module{config, options, static_cast<std::uint64_t>(o.seed), RoutePolicy::from_env()};
    const std::int64_t longest = *std::max_element(o.seq.begin(), o.seq.end());
    if (const auto reason = CudaStep::unsupported_reason(module, longest)) {
        return tools::Skipped{"route cuda: " + *reason};
    }
    const std::vector<tools::GpuInfo> gpus = tools::visible_gpus();
    const tools::GpuMonitor monitor{gpus.empty() ? "" : gpus.front().uuid};
    tools::write_run_facts(output, device, o.dtype, o.seed);
    write_graph_facts(output, o, monitor.why_not());
    const Ceilings ceilings = ceilings_of(o, output, options.device());
    GraphReport report{output};
    for (const std::int64_t seq : o.seq) {
        const GraphResult result = measure(module, o, seq, options, monitor);
        report.add(result, summarise(result, ceilings));
        for (const Branch branch : kBranches) {
            tools::write_route_facts(output, branch,
                                     {.asked = Route::kCuda, .taken = Route::kCuda, .reason = {}},
                                     {{"S", std::to_string(seq)}});
        }
    }
    report.finish();
    tools::write_peak_memory(output, device);
    return tools::Done{};
}

}  // namespace nsa::core::bench
