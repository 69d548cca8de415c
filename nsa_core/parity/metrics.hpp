// Error measures and the plain implementation whose error gives them a scale.
#pragma once

#include <ATen/core/Tensor.h>

#include "nsa_core/config.hpp"
#include "nsa_core/numeric.hpp"
#include "nsa_core/parity/trial.hpp"

namespace nsa::core::parity {

// Shapes must agree; any device and dtype. Computed in fp64 on the CPU.
[[nodiscard]] ErrorMetrics compare(const at::Tensor& candidate, const at::Tensor& truth);

// The most that one rounding moves a value, as a share of it, and the smallest step near 0.
struct Rounding {
    double relative;
    double absolute;
};
[[nodiscard]] Rounding rounding_of(DType dtype);

// Largest error of `ours` as a share of what it may be: twice the largest error of a plain implementation in
// the same type, plus one rounding of the largest true value. Above 1 is a fault; NaN or infinity anywhere
// makes it infinite.
[[nodiscard]] double bound_ratio(const at::Tensor& ours, const at::Tensor& plain, const at::Tensor& truth,
                                 DType dtype);

// Standard normal values of the shape, the same on every device and for every dtype up to rounding.
[[nodiscard]] at::Tensor random_normal(at::IntArrayRef shape, at::Generator& generator,
                                       at::TensorOptions options);
[[nodiscard]] at::Generator seeded_generator(std::int64_t seed);
// Another stream of the same seed: that of a seed which runs hardly reach.
[[nodiscard]] at::Generator second_generator(std::int64_t seed);

// Attention as one would write it down, every intermediate rounded to the dtype of q: the error of an honest
// implementation without tricks. q [B,H,S,dk], k and v [B,G,N,*], mask [S,N] or [B,H,S,N], true where
// visible. A query that sees nothing gives 0.
[[nodiscard]] at::Tensor plain_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                         const at::Tensor& mask, double scale);

// Masks for plain_attention, on the device of the options.
[[nodiscard]] at::Tensor sliding_mask(std::int64_t seq, std::int64_t w, at::Device device);
[[nodiscard]] at::Tensor compressed_mask(std::int64_t seq, const NsaConfig& config, at::Device device);
// blocks [B,G,S,n], -1 behind the last; result [B,H,S,S].
[[nodiscard]] at::Tensor selected_mask(const at::Tensor& blocks, const NsaConfig& config);

}  // namespace nsa::core::parity
