// nsa-core train-smoke: does a small byte-level language model on NSA attention train, how fast, and by a
// route as by another?
//
// Determinism. Weights and windows depend on --seed alone. On the CPU a run repeats its losses bit for bit on
// the same host, build and number of threads; another host may round otherwise. On CUDA nothing is promised:
// backward passes of LibTorch add with atomics. One process, one device: a run over several would divide a
// step's micro-batches, which the trainer already averages.
#pragma once

#include <cstdint>
#include <optional>

#include "nsa_core/routes.hpp"
#include "nsa_core/tools/flags.hpp"
#include "nsa_core/tools/outcome.hpp"
#include "nsa_core/tools/output.hpp"
#include "nsa_core/train/graph_choice.hpp"
#include "nsa_core/train/model_flags.hpp"

namespace nsa::core::train {

struct TrainSmokeOptions : ModelFlags {
    std::int64_t steps = 10;
    std::int64_t accumulate = 1;  // micro-batches of `batch` sequences in a step
    double lr = 1e-3;
    // Trains again by this route, same weights and data, and reports how far the losses lie apart.
    std::optional<Route> compare_route;
    GraphFlag graph = GraphFlag::kAuto;
};

void add_flags(tools::FlagTable& table, TrainSmokeOptions& options);
[[nodiscard]] tools::Outcome run(const TrainSmokeOptions& options, tools::Output& output);

}  // namespace nsa::core::train
