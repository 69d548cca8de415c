// Names and shapes of the layer's weights, by the configuration alone. No Torch: what reads a layer from a
// file compares them before anything of that size is made.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nsa_core/config.hpp"

namespace nsa::core {

struct ParameterShape {
    std::string name;
    std::vector<std::int64_t> shape;
};

/// In the order of NSAAttention::parameters().
[[nodiscard]] std::vector<ParameterShape> parameter_shapes(const NsaConfig& config);

}  // namespace nsa::core
