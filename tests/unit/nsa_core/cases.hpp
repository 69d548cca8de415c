// Shapes, random inputs and distances for the tests of nsa_core.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "nsa_core/config.hpp"

namespace nsa::core::test {

struct Case {
    std::string name;
    std::int64_t batch = 1;
    std::int64_t length = 1;
    NsaConfig config;
};

/// The grid: lengths below l, lengths that are multiples of nothing, windows longer than the sequence, more
/// picks than blocks, one group, as many groups as heads, blocks without and with much overlap.
[[nodiscard]] const std::vector<Case>& grid();

struct Inputs {
    at::Tensor q;  // [B,H,S,dk]
    at::Tensor k;  // [B,G,S,dk]
    at::Tensor v;  // [B,G,S,dv]
};

/// Standard normal from a seed of its own, drawn in fp64 and rounded to `type`.
[[nodiscard]] at::Tensor random(at::IntArrayRef shape, std::uint64_t seed, at::ScalarType type = at::kDouble);
[[nodiscard]] Inputs random_inputs(const Case& c, at::ScalarType type, std::uint64_t seed = 1);

[[nodiscard]] double max_abs(const at::Tensor& a, const at::Tensor& b);  // NaN when either holds one
[[nodiscard]] double mean_abs(const at::Tensor& a, const at::Tensor& b);

/// Largest error allowed against the fp64 oracle on standard normal inputs: rounding of some hundred terms.
[[nodiscard]] double tolerance(at::ScalarType type);

}  // namespace nsa::core::test
