// nsa-core decode-bench: the time of one decode step, whole and in parts, at several context lengths.
#pragma once

#include <cstdint>

#include "nsa_core/bench/bench_options.hpp"
#include "nsa_core/config.hpp"
#include "nsa_core/tools/flags.hpp"
#include "nsa_core/tools/outcome.hpp"
#include "nsa_core/tools/output.hpp"

namespace nsa::core::bench {

// The default shape is that of the seed's report. The state of the cache and the floor are of captured steps:
// kAttention, and kModule by route cuda.
struct DecodeBenchOptions : BenchOptions {
    DecodeBenchOptions() : BenchOptions{Scope::kModule, {512, 1024, 2048}, 10, 50} {}

    std::int64_t page = 64;  // tokens of a cache page; of kAttention only
};

[[nodiscard]] NsaConfig config_of(const DecodeBenchOptions& options);

// --scope attention: route cuda beside full attention, replayed as CUDA graphs. Skipped where the route is
// not.
[[nodiscard]] tools::Outcome run_attention(const DecodeBenchOptions& options, tools::Output& output);

// --scope module --route cuda: the whole layer as one captured kernel. Skipped where the route is not.
[[nodiscard]] tools::Outcome run_captured_layer(const DecodeBenchOptions& options, tools::Output& output);

void add_flags(tools::FlagTable& table, DecodeBenchOptions& options);
[[nodiscard]] tools::Outcome run(const DecodeBenchOptions& options, tools::Output& output);

}  // namespace nsa::core::bench
