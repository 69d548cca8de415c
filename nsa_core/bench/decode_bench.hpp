// nsa-core decode-bench: the time of one decode step, whole and in parts, at several context lengths.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "nsa_core/config.hpp"
#include "nsa_core/routes.hpp"
#include "nsa_core/tools/environment.hpp"
#include "nsa_core/tools/flags.hpp"
#include "nsa_core/tools/outcome.hpp"
#include "nsa_core/tools/output.hpp"

namespace nsa::core::bench {

enum class Scope {
    kModule,    // the whole layer, projections included
    kAttention  // the branches, top-n and gate over a paged cache: what attention kernels are compared by
};
enum class CachePolicy {
    kWarm,  // each sample reads what the one before has read
    kCold   // the L2 cache is filled with other data before each sample
};

// The default shape is that of the seed's report.
struct DecodeBenchOptions {
    Scope scope = Scope::kModule;
    std::optional<Route> route;  // nothing: auto
    std::vector<std::int64_t> seq{512, 1024, 2048};
    std::int64_t dim = 256;
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
    std::int64_t warmup = 10;
    std::int64_t samples = 50;
    std::int64_t seed = 0;
    std::int64_t page = 64;  // tokens of a cache page; of kAttention only
    // Of captured steps: kAttention, and kModule by route cuda.
    CachePolicy cache_policy = CachePolicy::kWarm;
    std::int64_t bandwidth_gb_s = 0;  // of the device's memory; 0: measured first
    std::int64_t tensor_tflop_s = 0;  // of its tensor cores; 0: measured first
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
