// Route `cuda` for a decode step over a paged cache: the tensor entry point of nsa_core/cuda/decode.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "nsa_core/cuda/decode/params.hpp"
#include "nsa_core/paged_cache.hpp"
#include "nsa_core/routes.hpp"
#include "nsa_core/routes/paged_step.hpp"

namespace nsa::core {

/// Whether this program was built with nvcc, so that it holds the kernels of route cuda.
[[nodiscard]] bool kernels_built();

/// The request that steps over this cache make of the chooser.
[[nodiscard]] StepRequest request_for(const PagedCache& cache);

/// Decode steps over one paged cache. The plan is made and its scratch allocated here; a step then only
/// launches, on Torch's current stream of the cache's device, and may be captured in a graph. A graph stays
/// valid while positions, table and rows change, because it holds addresses and sizes only: keep cache,
/// inputs and outputs. Not thread safe.
class CudaDecode {
  public:
    /// Throws InputError with the reason when route cuda cannot run steps over this cache.
    explicit CudaDecode(const PagedCache& cache);
    ~CudaDecode();
    CudaDecode(CudaDecode&&) noexcept;
    CudaDecode& operator=(CudaDecode&&) noexcept;

    /// Throws InputError for tensors that do not fit the cache; a launch that fails is a c10::Error. `part`
    /// other than kAll serves to time the parts alone and does not leave a result in `out` but an
    /// intermediate.
    void step(const PagedStepInputs& in, const PagedCache& cache, const PagedStepOutputs& out,
              cuda::DecodePart part = cuda::DecodePart::kAll);

    /// The scratch, bytes. It holds nothing between steps.
    [[nodiscard]] at::Tensor workspace() const;
    /// "splits 4, cluster 8, sm_90": how steps are cut, for reports.
    [[nodiscard]] std::string plan_text() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace nsa::core
