// nsa-core gate-health: how the gates of a model stand on data, by layer and branch, without training it.
//
// The model is that of train-smoke with fresh weights of a seed; each sample is one batch. train-smoke
// reports the same statistics as a curve over its steps, all layers together; here they are told apart.
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

namespace nsa::core::gates {

struct GateHealthOptions {
    std::int64_t samples = 4;  // batches
    std::int64_t dim = 128;
    std::int64_t heads = 8;
    std::int64_t groups = 2;
    std::int64_t dk = 16;
    std::int64_t dv = 16;
    std::int64_t seq = 128;
    std::int64_t batch = 8;
    std::int64_t layers = 2;
    GateKind gate = GateKind::kSigmoid;
    DType dtype = DType::kFp32;
    tools::DeviceFlag device = tools::DeviceFlag::kAuto;
    std::int64_t seed = 0;
    std::string data = "synthetic";  // or the path of a text file
};

void add_flags(tools::FlagTable& table, GateHealthOptions& options);
[[nodiscard]] tools::Outcome run(const GateHealthOptions& options, tools::Output& output);

}  // namespace nsa::core::gates
