// The whole layer's decode step as one kernel: the tensor entry point of nsa_core/cuda/step. For one sequence
// in fp32.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "nsa_core/cuda/step/step.hpp"
#include "nsa_core/decode_cache.hpp"
#include "nsa_core/module.hpp"

namespace nsa::core {

struct CudaStepOptions {
    /// How the kernel's thread blocks meet; nothing: the fastest that runs here.
    std::optional<cuda::StepTeam> team = {};
    /// Steps are replays of a CUDA graph that is captured at creation.
    bool graph = false;
    /// Off: every step computes the token at the cache's length again and appends nothing for good. For
    /// timing.
    bool advance = true;
    /// Each step leaves its processor clocks in clocks().
    bool clocks = false;
    /// Where results go, contiguous [1,dim]; empty: a buffer of the step's own.
    at::Tensor out = {};
};

/// Decode steps of one layer over one cache. Everything is allocated here; a step is one launch on Torch's
/// current stream of the device, without host reads or synchronisation. The cache may be prefilled, truncated
/// or decoded into by other means between steps. Not thread safe.
class CudaStep {
  public:
    /// Nothing when this program and the module's device can run steps over caches of `capacity` tokens.
    [[nodiscard]] static std::optional<std::string> unsupported_reason(const NSAAttention& module,
                                                                       std::int64_t capacity);

    /// Reserves `capacity` tokens in the cache, which must be one of this layer for one sequence and outlive
    /// this object. Weights are
    /// shared with the module, not copied: training updates are seen. Throws InputError with the reason when
    /// unsupported.
    CudaStep(const NSAAttention& module, DecodeCache& cache, std::int64_t capacity,
             CudaStepOptions options = {});
    ~CudaStep();
    CudaStep(CudaStep&&) noexcept;
    CudaStep& operator=(CudaStep&&) noexcept;

    /// x [1,dim] is the token after those in the cache. The result [1,dim] is a buffer of this object that
    /// the next step overwrites. With a graph, x is copied into input() first unless it is input(). Throws
    /// InputError when the cache is full or x does not fit.
    at::Tensor step(const at::Tensor& x);
    /// Where a graph reads x, [1,dim]: writing there directly saves the copy.
    [[nodiscard]] at::Tensor input() const;

    /// Of the last step, on the device: keys read [G,3] int32 as cmp, sel, win, counted where they were read;
    /// and the selected blocks [G,n] int32, ascending, -1 behind the last.
    [[nodiscard]] at::Tensor reads() const;
    [[nodiscard]] at::Tensor blocks() const;

    /// Of the last step when options.clocks asked for them: what StepParams::clocks says, on the device,
    /// int64.
    [[nodiscard]] at::Tensor clocks() const;

    /// Which kernel runs: "cluster of 16", "cluster of 8" or "grid of 16".
    [[nodiscard]] std::string team_text() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace nsa::core
