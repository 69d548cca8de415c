// The one-kernel step on a GPU, for its tests.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>

#include "nsa_core/routes/cuda_step.hpp"
#include "step_cases.hpp"

namespace nsa::core::test {

inline constexpr cuda::StepTeam kTeams[] = {cuda::StepTeam::kCluster16, cuda::StepTeam::kCluster8,
                                            cuda::StepTeam::kGrid};

[[nodiscard]] at::TensorOptions on_gpu(at::ScalarType type);

struct GpuLayer : Layer {
    explicit GpuLayer(const NsaConfig& config, RoutePolicy policy = {});
};
[[nodiscard]] at::Tensor gpu_token(const NsaConfig& c, std::int64_t t);

/// See run_candidate.
[[nodiscard]] Tally run(const GpuLayer& layer, std::int64_t begin, std::int64_t count,
                        CudaStepOptions options);

class CudaStepTest : public testing::Test {
  protected:
    void SetUp() override;

    /// On every team that runs here; at least one must.
    static void on_teams(const NsaConfig& c, std::int64_t capacity,
                         const std::function<void(cuda::StepTeam)>& body);
};
using CudaStepSmall = CudaStepTest;

}  // namespace nsa::core::test
