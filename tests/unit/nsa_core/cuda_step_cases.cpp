#include "cuda_step_cases.hpp"

#include <ATen/ATen.h>

#include <utility>

#include "nsa_core/device.hpp"
#include "nsa_core/errors.hpp"

namespace nsa::core::test {
namespace {

class OnGpu : public StepCandidate {
  public:
    OnGpu(const NSAAttention& module, DecodeCache& cache, std::int64_t capacity, CudaStepOptions options)
        : step_{module, cache, capacity, std::move(options)} {}

    at::Tensor step(const at::Tensor& x) override { return step_.step(x); }
    [[nodiscard]] at::Tensor reads() const override { return step_.reads(); }
    [[nodiscard]] at::Tensor blocks() const override { return step_.blocks(); }

  private:
    CudaStep step_;
};

bool runs(const NsaConfig& c, std::int64_t capacity, cuda::StepTeam team) {
    const NSAAttention module{c, on_gpu(at::kFloat), 5};
    DecodeCache cache = module.make_cache(1, capacity);
    try {
        const CudaStep step{module, cache, capacity, {.team = team}};
        return true;
    } catch (const InputError&) {
        return false;
    }
}

}  // namespace

at::TensorOptions on_gpu(at::ScalarType type) {
    return at::TensorOptions{at::kCUDA}.dtype(type);
}

GpuLayer::GpuLayer(const NsaConfig& config, RoutePolicy policy) : Layer{config, policy, at::kCUDA} {}

at::Tensor gpu_token(const NsaConfig& c, std::int64_t t) {
    return token(c, t, at::kCUDA);
}

Tally run(const GpuLayer& layer, std::int64_t begin, std::int64_t count, CudaStepOptions options) {
    return run_candidate(layer, begin, count,
                         [&](const NSAAttention& module, DecodeCache& cache, std::int64_t capacity) {
                             return std::make_unique<OnGpu>(module, cache, capacity, options);
                         });
}

void CudaStepTest::SetUp() {
    ASSERT_TRUE(cuda_available()) << "this test needs a CUDA device";
}

void CudaStepTest::on_teams(const NsaConfig& c, std::int64_t capacity,
                            const std::function<void(cuda::StepTeam)>& body) {
    int count = 0;
    for (const cuda::StepTeam team : kTeams) {
        if (!runs(c, capacity, team)) continue;
        SCOPED_TRACE("team " + std::to_string(static_cast<int>(team)));
        ++count;
        body(team);
    }
    EXPECT_GT(count, 0);
}

}  // namespace nsa::core::test
