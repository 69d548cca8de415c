// Rotary position embedding (Su et al., 2021) on queries and keys, with the halves of a head as pairs.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "nsa_core/config.hpp"

namespace nsa::core {

/// By how much rows are turned: [rows, dk/2] each. Undefined when the configuration has no rope.
struct Rotations {
    at::Tensor cosine;
    at::Tensor sine;
};

/// Of rows at the positions first, first + 1, ... for tensors of the type and device of `like`.
[[nodiscard]] Rotations rotations(std::int64_t first, std::int64_t rows, const at::Tensor& like,
                                  const NsaConfig& config);

/// x [B,heads,rows,dk], token-major, each row turned by its own rotation; x itself without rope.
[[nodiscard]] at::Tensor rotated(const at::Tensor& x, const Rotations& by);

}  // namespace nsa::core
