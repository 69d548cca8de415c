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
#include <string>

#include "nsa_core/config.hpp"
#include "nsa_core/routes.hpp"
#include "nsa_core/tools/environment.hpp"
#include "nsa_core/tools/flags.hpp"
#include "nsa_core/tools/outcome.hpp"
#include "nsa_core/tools/output.hpp"
#include "nsa_core/train/graph_choice.hpp"

namespace nsa::core::train {

// The default shape is that of the seed's report.
struct TrainSmokeOptions {
    std::int64_t steps = 10;
    std::int64_t dim = 128;
    std::int64_t heads = 8;
    std::int64_t groups = 2;
    std::int64_t dk = 16;
    std::int64_t dv = 16;
    std::int64_t seq = 128;
    std::int64_t batch = 8;
    std::int64_t accumulate = 1;  // micro-batches of `batch` sequences in a step
    std::int64_t layers = 1;
    double lr = 1e-3;
    GateKind gate = GateKind::kSigmoid;
    std::optional<Route> route;  // nothing: auto
    // Trains again by this route, same weights and data, and reports how far the losses lie apart.
    std::optional<Route> compare_route;
    GraphFlag graph = GraphFlag::kAuto;
    DType dtype = DType::kFp32;
    tools::DeviceFlag device = tools::DeviceFlag::kAuto;
    std::int64_t seed = 0;
    std::string data = "synthetic";  // or the path of a text file
};

void add_flags(tools::FlagTable& table, TrainSmokeOptions& options);
[[nodiscard]] tools::Outcome run(const TrainSmokeOptions& options, tools::Output& output);

}  // namespace nsa::core::train
