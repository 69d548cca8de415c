// nsa-core gate-health: how the gates of a model stand on data after some training, by layer and branch.
//
// The model, its training and its data are those of train-smoke, without a CUDA graph; each sample is one
// batch that comes after those of the training. train-smoke reports the same statistics as a curve over its
// steps, all layers together; here they are told apart.
#pragma once

#include <cstdint>

#include "nsa_core/tools/flags.hpp"
#include "nsa_core/tools/outcome.hpp"
#include "nsa_core/tools/output.hpp"
#include "nsa_core/train/model_flags.hpp"

namespace nsa::core::gates {

struct GateHealthOptions : train::ModelFlags {
    GateHealthOptions() { layers = 2; }

    std::int64_t samples = 4;  // batches
    std::int64_t steps = 10;   // optimiser steps before them; with 0 the gates are those of fresh weights
    double lr = 1e-3;
};

void add_flags(tools::FlagTable& table, GateHealthOptions& options);
[[nodiscard]] tools::Outcome run(const GateHealthOptions& options, tools::Output& output);

}  // namespace nsa::core::gates
