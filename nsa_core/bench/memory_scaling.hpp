// nsa-core memory-scaling: the most memory of one layer's prefill, decode step or training step, over lengths
// of the sequence and by route, and the exponent with which it grows.
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
#include "nsa_core/tools/shape_flags.hpp"

namespace nsa::core::bench {

enum class MemoryPass {
    kPrefill,  // the layer over the whole sequence, without gradients
    kDecode,   // the step after S - 1 tokens, with its cache
    kTrain     // forward and backward
};

struct MemoryScalingOptions : tools::AttentionShape {
    std::vector<std::int64_t> seq{256, 512, 1024};
    std::vector<MemoryPass> passes{MemoryPass::kPrefill, MemoryPass::kDecode, MemoryPass::kTrain};
    std::vector<std::optional<Route>> routes{std::nullopt};  // nothing: auto
    std::int64_t dim = 256;
    std::int64_t batch = 1;
    DType dtype = DType::kFp32;
    tools::DeviceFlag device = tools::DeviceFlag::kAuto;
    std::int64_t seed = 0;
};

void add_flags(tools::FlagTable& table, MemoryScalingOptions& options);

// Throws InputError for fewer than two different lengths. Skipped where a route that is named would fall
// back.
[[nodiscard]] tools::Outcome run(const MemoryScalingOptions& options, tools::Output& output);

}  // namespace nsa::core::bench
