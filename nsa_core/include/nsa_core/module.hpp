// NSAAttention: projections, the three branches, gate and output projection; prefill and step-by-step decode.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nsa_core/attention.hpp"
#include "nsa_core/config.hpp"
#include "nsa_core/decode_cache.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/routes.hpp"

namespace nsa::core {

struct NamedTensor {
    std::string name;
    at::Tensor tensor;
};

/// The routes that really ran, by branch.
struct RoutesTaken {
    RouteChoice cmp;
    RouteChoice sel;
    RouteChoice win;
};

struct PrefillResult {
    at::Tensor out;  // [B,S,dim]
    at::Tensor cmp;  // branch outputs before the gate, [B,H,S,dv]; see GatedAttention
    at::Tensor sel;
    at::Tensor win;
    at::Tensor gates;   // [B,H,S,3] in the order cmp, sel, win
    at::Tensor blocks;  // selected blocks, [B,G,S,n], -1 behind the last
    RoutesTaken routes;
};

struct StepResult {
    at::Tensor out;  // [B,dim]
    Reads reads;     // keys per KV group, counted where they were gathered
    RoutesTaken routes;
};

/// One decode step in parts, so that each can be launched and timed alone. Call them in this order:
/// project, compressed, selected, sliding, combine; `decode` does exactly that.
struct StepInputs {
    at::Tensor q;      // [B,H,1,dk]
    at::Tensor gates;  // [B,H,1,3]
    std::int64_t t = 0;
};
struct StepBranch {
    at::Tensor out;          // [B,H,1,dv]
    std::int64_t reads = 0;  // keys per KV group
    RouteChoice route;
};
struct StepCompressed : StepBranch {
    at::Tensor blocks;  // the blocks to select, [B,G,1,n]
};

/// Parameters are leaf tensors that require gradients; prefill is differentiable, decode is inference only.
/// Not thread safe.
class NSAAttention {
  public:
    /// Throws InputError for a bad configuration. Weights depend on `seed` only, not on device or dtype: they
    /// are drawn in fp64 on the CPU and rounded.
    NSAAttention(const NsaConfig& config, at::TensorOptions options, std::uint64_t seed,
                 RoutePolicy policy = {});
    ~NSAAttention();
    NSAAttention(NSAAttention&&) noexcept;
    NSAAttention& operator=(NSAAttention&&) noexcept;

    [[nodiscard]] const NsaConfig& config() const;
    [[nodiscard]] const RoutePolicy& policy() const;

    /// Asks for one route on every branch, or on one; nullopt returns to auto. An FA2 route asked of every
    /// branch applies to those that have it; the selected branch falls back with the reason. Route cuda is
    /// taken by prefill; the steps of decode fall back with the reason.
    void ask_route(std::optional<Route> route);
    void ask_route(Branch branch, std::optional<Route> route);
    void set_audit(SdpaAudit* audit);  // not owned; null: none

    /// x [B,S,dim]. With a cache, which must be empty, the tokens are also appended to it. `blocks` as in
    /// gated_attention.
    [[nodiscard]] PrefillResult prefill(const at::Tensor& x, DecodeCache* cache = nullptr,
                                        const at::Tensor& blocks = {}) const;

    [[nodiscard]] DecodeCache make_cache(std::int64_t batch, std::int64_t capacity) const;
    /// x_t [B,dim] is the token after those in the cache.
    [[nodiscard]] StepResult decode(const at::Tensor& x_t, DecodeCache& cache) const;

    [[nodiscard]] StepInputs step_project(const at::Tensor& x_t, DecodeCache& cache) const;
    [[nodiscard]] StepCompressed step_compressed(const StepInputs& in, DecodeCache& cache) const;
    [[nodiscard]] StepBranch step_selected(const StepInputs& in, const at::Tensor& blocks,
                                           DecodeCache& cache) const;
    [[nodiscard]] StepBranch step_sliding(const StepInputs& in, DecodeCache& cache) const;
    [[nodiscard]] at::Tensor step_combine(const StepInputs& in, const at::Tensor& cmp, const at::Tensor& sel,
                                          const at::Tensor& win) const;  // [B,dim]

    /// Weights by name, the very leaves that training updates: wq, wk_cmp, wv_cmp, wk_sel, wv_sel, wk_win,
    /// wv_win, gate_w1, gate_b1, gate_w2, gate_b2, wo, and with a learnable compressor phi_k.* and phi_v.*.
    [[nodiscard]] const std::vector<NamedTensor>& parameters() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace nsa::core
