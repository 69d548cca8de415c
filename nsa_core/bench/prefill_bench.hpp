// nsa-core prefill-bench: the time of attention over whole sequences, forward, backward and both, whole and
// in parts, beside full attention and the floor.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "nsa_core/bench/decode_bench.hpp"
#include "nsa_core/bench/prefill_floor.hpp"
#include "nsa_core/routes.hpp"
#include "nsa_core/tools/environment.hpp"
#include "nsa_core/tools/flags.hpp"
#include "nsa_core/tools/outcome.hpp"
#include "nsa_core/tools/output.hpp"

namespace nsa::core::bench {

enum class Queries {
    kIndependent,  // every token chooses blocks of its own: the worst case of selection
    kCorrelated    // q_t = 0.95 q_(t-1) + noise of unit variance in total: nearer to a trained model
};

struct PrefillBenchOptions {
    Scope scope = Scope::kAttention;
    std::optional<Pass> pass;    // nothing: all three
    std::optional<Route> route;  // nothing: auto
    std::vector<std::int64_t> seq{512, 1024};
    std::int64_t dim = 256;  // of the module only
    std::int64_t heads = 8;
    std::int64_t groups = 2;
    std::int64_t dk = 32;
    std::int64_t dv = 32;
    std::int64_t batch = 1;
    std::int64_t l = 32;
    std::int64_t d = 16;
    std::int64_t l_sel = 64;
    std::int64_t n = 16;
    std::int64_t w = 512;
    DType dtype = DType::kFp32;
    tools::DeviceFlag device = tools::DeviceFlag::kAuto;
    std::int64_t warmup = 3;
    std::int64_t samples = 20;
    std::int64_t seed = 0;
    Queries queries = Queries::kIndependent;
    CachePolicy cache_policy = CachePolicy::kWarm;
    bool peers = true;                // of attention: full attention beside ours
    std::int64_t bandwidth_gb_s = 0;  // of the device's memory; 0: measured first
    std::int64_t tensor_tflop_s = 0;  // of its products in the dtype; 0: measured first
};

void add_flags(tools::FlagTable& table, PrefillBenchOptions& options);
[[nodiscard]] tools::Outcome run(const PrefillBenchOptions& options, tools::Output& output);

}  // namespace nsa::core::bench
