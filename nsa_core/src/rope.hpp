// Rotary position embedding (Su et al., 2021) on queries and keys, with the halves of a head as pairs.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "nsa_core/config.hpp"

namespace nsa::core {

/// x [B,heads,rows,dk] whose row r stands at position first + r; x itself when the configuration has no rope.
[[nodiscard]] at::Tensor with_positions(const at::Tensor& x, std::int64_t first, const NsaConfig& config);

}  // namespace nsa::core
