// Shape checks of the tensor entry points. Each throws InputError that names the function, the tensors'
// shapes and what would be right.
#pragma once

#include <ATen/core/Tensor.h>

#include "nsa_core/attention.hpp"
#include "nsa_core/config.hpp"

namespace nsa::core {

/// q [B,H,*,dk], k [B,G,N,dk], v [B,G,N,dv] with G dividing H, of one dtype and device.
void check_heads(const char* where, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

/// As many queries as keys, and at least one.
void check_same_length(const char* where, const at::Tensor& q, const at::Tensor& k);

/// As many compressed tokens as the queries' prefix holds.
void check_compressed_length(const char* where, const at::Tensor& q, const at::Tensor& k_cmp,
                             const NsaConfig& config);

/// Weights of the configuration's phi_hidden for rows [.., c], of their dtype and device.
void check_phi(const char* where, const at::Tensor& rows, const PhiWeights& phi, const NsaConfig& config);

/// x [.., dim] with `dims` dimensions, of the parameters' dtype and device.
void check_input(const char* where, const at::Tensor& x, std::int64_t dims, std::int64_t dim,
                 const at::Tensor& parameter);

}  // namespace nsa::core
