// The layer's weights: how they are drawn and what they are called.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "nsa_core/attention.hpp"
#include "nsa_core/config.hpp"
#include "nsa_core/module.hpp"

namespace nsa::core {

struct KeyValueWeights {
    at::Tensor k;  // [G dk, dim]
    at::Tensor v;  // [G dv, dim]
};

struct Parameters {
    at::Tensor wq;  // [H dk, dim]
    KeyValueWeights cmp;
    KeyValueWeights sel;
    KeyValueWeights win;
    at::Tensor gate_w1;          // [gate_hidden, dim]
    at::Tensor gate_b1;          // [gate_hidden]
    at::Tensor gate_w2;          // [3 H, gate_hidden], row 3 h + branch
    at::Tensor gate_b2;          // [3 H]
    at::Tensor wo;               // [dim, H dv]
    std::optional<PhiPair> phi;  // with a learnable compressor only
};

/// Drawn in fp64 on the CPU, then rounded: one seed gives the same layer on every device and dtype.
[[nodiscard]] Parameters make_parameters(const NsaConfig& config, at::TensorOptions options,
                                         std::uint64_t seed);

/// The same tensors (not copies) by name.
[[nodiscard]] std::vector<NamedTensor> named(const Parameters& parameters);

}  // namespace nsa::core
