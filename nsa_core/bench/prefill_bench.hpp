// nsa-core prefill-bench: the time of attention over whole sequences, forward, backward and both, whole and
// in parts, beside full attention and the floor.
#pragma once

#include <optional>

#include "nsa_core/bench/bench_options.hpp"
#include "nsa_core/bench/prefill_floor.hpp"
#include "nsa_core/tools/flags.hpp"
#include "nsa_core/tools/outcome.hpp"
#include "nsa_core/tools/output.hpp"

namespace nsa::core::bench {

enum class Queries {
    kIndependent,  // every token chooses blocks of its own: the worst case of selection
    kCorrelated    // q_t = 0.95 q_(t-1) + noise of unit variance in total: nearer to a trained model
};

struct PrefillBenchOptions : BenchOptions {
    PrefillBenchOptions() : BenchOptions{Scope::kAttention, {512, 1024}, 3, 20} {}

    std::optional<Pass> pass;  // nothing: all three
    Queries queries = Queries::kIndependent;
    tools::CompressorFlags compression;
    bool peers = true;  // of attention: full attention beside ours
};

void add_flags(tools::FlagTable& table, PrefillBenchOptions& options);
[[nodiscard]] tools::Outcome run(const PrefillBenchOptions& options, tools::Output& output);

}  // namespace nsa::core::bench
