// nsa-core gate-health: how the gates of a model stand on data, by layer and branch, without training it.
//
// The model is that of train-smoke with fresh weights of a seed; each sample is one batch. train-smoke
// reports the same statistics as a curve over its steps, all layers together; here they are told apart.
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
};

void add_flags(tools::FlagTable& table, GateHealthOptions& options);
[[nodiscard]] tools::Outcome run(const GateHealthOptions& options, tools::Output& output);

}  // namespace nsa::core::gates
