// nsa-core decode-bench: the time of one decode step, whole and in parts, at several context lengths.
#pragma once

#include <cstdint>
#include <vector>

#include "nsa_core/tools/environment.hpp"
#include "nsa_core/tools/flags.hpp"
#include "nsa_core/tools/outcome.hpp"
#include "nsa_core/tools/output.hpp"

namespace nsa::core::bench {

// The default shape is that of the seed's report.
struct DecodeBenchOptions {
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
};

void add_flags(tools::FlagTable& table, DecodeBenchOptions& options);
[[nodiscard]] tools::Outcome run(const DecodeBenchOptions& options, tools::Output& output);

}  // namespace nsa::core::bench
