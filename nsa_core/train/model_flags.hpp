// The byte-level model and its data as train-smoke and gate-health are asked for them. Free of Torch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "nsa_core/config.hpp"
#include "nsa_core/numeric.hpp"
#include "nsa_core/routes.hpp"
#include "nsa_core/tools/environment.hpp"
#include "nsa_core/tools/flags.hpp"
#include "nsa_core/tools/route_check.hpp"
#include "nsa_core/tools/shape_flags.hpp"

namespace nsa::core::train {

// The default shape is that of the seed's report; block sizes and window are the paper's, and no flags.
struct ModelFlags : tools::AttentionShape {
    ModelFlags() : AttentionShape{.dk = 16, .dv = 16} {}

    std::int64_t dim = 128;
    std::int64_t seq = 128;
    std::int64_t batch = 8;
    std::int64_t layers = 1;
    GateKind gate = GateKind::kSigmoid;
    tools::CompressorFlags compression;
    DType dtype = DType::kFp32;
    tools::DeviceFlag device = tools::DeviceFlag::kAuto;
    std::int64_t seed = 0;           // of weights and data
    std::string data = "synthetic";  // or the path of a text file
    std::optional<Route> route;      // nothing: auto
};

void add_model_flags(tools::FlagTable& table, ModelFlags& flags);
void add_run_flags(tools::FlagTable& table, ModelFlags& flags);  // type, device, seed, data and route

// Of the model's attention, with rotary positions. Throws InputError when the flags do not fit one another.
[[nodiscard]] NsaConfig config_of(const ModelFlags& flags);

// What tools::why_not asks of the model's attention on the first visible GPU or the CPU.
[[nodiscard]] tools::SequenceRequest request_of(const ModelFlags& flags, const NsaConfig& config,
                                                tools::DeviceKind device);

}  // namespace nsa::core::train
