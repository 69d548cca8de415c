// What the chooser must know of a device, and names of element types in Torch's terms.
#pragma once

#include <ATen/core/Tensor.h>

#include "nsa_core/numeric.hpp"
#include "nsa_core/routes.hpp"

namespace nsa::core {

[[nodiscard]] at::ScalarType scalar_type(DType dtype);
[[nodiscard]] DType dtype_of(const at::Tensor& tensor);  // throws InputError for any other element type

/// False on a host without a driver or GPU and in a build without CUDA, never an error.
[[nodiscard]] bool cuda_available();

/// Compute capability as 10 * major + minor; 0 for the CPU.
[[nodiscard]] int compute_capability(at::Device device);

/// The request that queries q [B,H,S,dk] make. `length`: RouteRequest::length.
[[nodiscard]] RouteRequest request_for(Branch branch, const NsaConfig& config, const at::Tensor& q,
                                       std::int64_t length, std::int64_t key_len);

}  // namespace nsa::core
