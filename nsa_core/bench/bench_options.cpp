#include "nsa_core/bench/bench_options.hpp"

namespace nsa::core::bench {
namespace {

constexpr std::int64_t kMany = 1 << 20;
constexpr std::int64_t kMostSamples = 1000000;

}  // namespace

void add_scope_flag(tools::FlagTable& table, BenchOptions& o) {
    table.choice(
        "--scope", o.scope, {{"module", Scope::kModule}, {"attention", Scope::kAttention}},
        "the whole layer, or attention alone: branches, top-n and gate; of decode-bench over a paged "
        "cache");
}

void add_size_flags(tools::FlagTable& table, BenchOptions& o) {
    table.integers("--seq", o.seq, 1, kMany, "sequence lengths, of decode-bench after the timed step")
        .integer("--dim", o.dim, 1, 65536, "module: width of the residual stream");
    tools::add_head_flags(table, o);
    table.integer("--batch", o.batch, 1, kMany, "sequences at a time");
    tools::add_block_flags(table, o);
    tools::add_dtype_flag(table, o.dtype);
    tools::add_device_flag(table, o.device);
    table.integer("--warmup", o.warmup, 0, kMostSamples, "samples thrown away first, per row")
        .integer("--samples", o.samples, 1, kMostSamples, "samples kept, per row")
        .integer("--seed", o.seed, 0, INT64_C(1) << 53, "seed of weights and inputs");
}

void add_floor_flags(tools::FlagTable& table, BenchOptions& o) {
    table
        .choice("--cache", o.cache_policy, {{"warm", CachePolicy::kWarm}, {"cold", CachePolicy::kCold}},
                "is the last cache left as the sample before has left it, or filled with other data")
        .integer("--bandwidth", o.bandwidth_gb_s, 0, kMany, "GB/s that the floor assumes; 0: measured")
        .integer("--tflops", o.tensor_tflop_s, 0, kMany, "TFLOP/s that the floor assumes; 0: measured");
}

}  // namespace nsa::core::bench
