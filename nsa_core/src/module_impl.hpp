// State of NSAAttention and the small parts that prefill and decode share.
#pragma once

#include <array>
#include <optional>

#include "nsa_core/module.hpp"
#include "nsa_core/src/parameters.hpp"
#include "nsa_core/src/rope.hpp"

namespace nsa::core {

struct NSAAttention::Impl {
    NsaConfig config;
    RoutePolicy policy;
    std::array<std::optional<Route>, 3> asked;  // by Branch
    SdpaAudit* audit = nullptr;                 // not owned
    Parameters parameters;
    std::vector<NamedTensor> names;

    /// Projection of x [B,S,dim] to heads [B,count,S,width].
    [[nodiscard]] at::Tensor heads_of(const at::Tensor& x, const at::Tensor& weight,
                                      std::int64_t count) const;
    [[nodiscard]] at::Tensor queries(const at::Tensor& x, const Rotations& positions) const;
    [[nodiscard]] at::Tensor keys(const at::Tensor& x, const at::Tensor& weight,
                                  const Rotations& positions) const;
    [[nodiscard]] at::Tensor values(const at::Tensor& x, const at::Tensor& weight) const;
    [[nodiscard]] at::Tensor gates(const at::Tensor& x) const;  // [B,H,S,3]
    [[nodiscard]] KeysValues compress(const KeysValues& rows, const Execution& how) const;
    /// Gated sum of the branches [B,H,S,dv] through the output projection: [B,S,dim].
    [[nodiscard]] at::Tensor project_out(const at::Tensor& mixed) const;
    /// `length`: RouteRequest::length.
    [[nodiscard]] RouteChoice choose(Branch branch, const at::Tensor& q, std::int64_t length,
                                     std::int64_t key_len) const;
    [[nodiscard]] Execution execution(const RouteChoice& choice) const;
};

}  // namespace nsa::core
