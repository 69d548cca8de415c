// What decode-bench and prefill-bench are asked alike.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "nsa_core/numeric.hpp"
#include "nsa_core/routes.hpp"
#include "nsa_core/tools/environment.hpp"
#include "nsa_core/tools/flags.hpp"
#include "nsa_core/tools/shape_flags.hpp"

namespace nsa::core::bench {

enum class Scope {
    kModule,    // the whole layer, projections included
    kAttention  // the branches, top-n and gate: what attention kernels are compared by
};
enum class CachePolicy {
    kWarm,  // each sample reads what the one before has read
    kCold   // the L2 cache is filled with other data before each sample
};

struct BenchOptions : tools::AttentionShape {
    BenchOptions(Scope what, std::vector<std::int64_t> lengths, std::int64_t thrown_away, std::int64_t kept)
        : scope{what}, seq{std::move(lengths)}, warmup{thrown_away}, samples{kept} {}

    Scope scope;
    std::optional<Route> route;  // nothing: auto
    std::vector<std::int64_t> seq;
    std::int64_t dim = 256;  // of kModule only
    std::int64_t batch = 1;
    DType dtype = DType::kFp32;
    tools::DeviceFlag device = tools::DeviceFlag::kAuto;
    std::int64_t warmup;  // per row
    std::int64_t samples;
    std::int64_t seed = 0;
    CachePolicy cache_policy = CachePolicy::kWarm;
    std::int64_t bandwidth_gb_s = 0;  // of the device's memory; 0: measured first
    std::int64_t tensor_tflop_s = 0;  // of its products in the dtype; 0: measured first
};

void add_scope_flag(tools::FlagTable& table, BenchOptions& options);
// Lengths, shape, type, device, samples and seed.
void add_size_flags(tools::FlagTable& table, BenchOptions& options);
// The state of the cache, and the ceilings of the floor.
void add_floor_flags(tools::FlagTable& table, BenchOptions& options);

}  // namespace nsa::core::bench
