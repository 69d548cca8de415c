// Shape checks of the tensor entry points. Each throws InputError that names the function, the tensors'
// shapes and what would be right.
#pragma once

#include <ATen/core/Tensor.h>

#include "nsa_core/attention.hpp"
#include "nsa_core/config.hpp"

namespace nsa::core {

/// q [B,H,*,dk], k [B,G,N,dk], v [B,G,N,dv] with G dividing H, of one dtype and device.
void check_heads(const char* where, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

/// k and v [B,G,N,*] of one dtype and device.
void check_rows(const char* where, const KeysValues& rows);

/// What check_heads demands of each branch with q; groups, widths and device the same in all three; gates
/// [B,H,S,3] of q's dtype and device.
void check_branches(const char* where, const BranchInputs& in);

/// Blocks [B,G,S,1 to n] int64 on q's device; which ones is not looked at.
void check_blocks(const char* where, const at::Tensor& blocks, const at::Tensor& q, const at::Tensor& k,
                  const NsaConfig& config);

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
