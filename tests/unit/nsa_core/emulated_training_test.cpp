// The whole layer, and a model that trains, on route cuda, with the kernels on the emulator: what a GPU run
// does except the GPU and the graph. Two functions of nsa_core are this file's: tensors of the CPU count as
// those of an A100, whose prefill kernels are the emulated ones.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "emulator/prefill/emulated_kernels.hpp"
#include "nsa_core/device.hpp"
#include "nsa_core/parity/guarded_kernels.hpp"
#include "nsa_core/parity/trial.hpp"
#include "nsa_core/routes/prefill_kernels.hpp"
#include "nsa_core/train/sampling.hpp"
#include "nsa_core/train/trainer.hpp"

namespace nsa::core {

RouteRequest request_for(Branch branch, const NsaConfig& config, const at::Tensor& q, std::int64_t length,
                         std::int64_t key_len) {
    return {.branch = branch,
            .config = config,
            .dtype = dtype_of(q),
            .cuda = true,
            .sm = 80,
            .kernels = true,
            .batch = q.size(0),
            .length = length,
            .key_len = key_len};
}

namespace {

// The emulated kernels, counting those of learnable compression.
class CountedKernels : public parity::GuardedKernels {
  public:
    CountedKernels() : GuardedKernels{prefill_test::emulated_prefill_kernels()} {}
    at::Tensor empty(at::IntArrayRef sizes, at::TensorOptions options) const override {
        return PrefillKernels::empty(sizes, options);  // without guards: a training would keep them all
    }
    void compress_forward(const cuda::CompressForward& p) const override {
        ++forwards;
        GuardedKernels::compress_forward(p);
    }
    void compress_backward(const cuda::CompressBackward& p, const cuda::CompressPlan& plan) const override {
        ++backwards;
        GuardedKernels::compress_backward(p, plan);
    }

    mutable int forwards = 0;
    mutable int backwards = 0;
};

const CountedKernels& counted() {
    static const CountedKernels kernels;
    return kernels;
}

}  // namespace

const PrefillKernels& cuda_prefill_kernels(c10::Device) {
    return counted();
}

namespace {

void expect_cuda(const std::vector<std::pair<Branch, RouteChoice>>& routes) {
    EXPECT_EQ(routes.size(), 3U);
    for (const auto& [branch, choice] : routes)
        EXPECT_EQ(choice.taken, Route::kCuda) << name(branch) << ": " << choice.reason;
}

double metric(const parity::TrialResult& trial, const std::string& wanted) {
    for (const auto& [name, value] : trial.more) {
        if (name == wanted) return value;
    }
    ADD_FAILURE() << "no metric " << wanted;
    return 0;
}

// Outputs, and the gradients in the input and in every weight.
TEST(EmulatedLayer, equals_the_oracle_forward_and_backward) {
    for (const Compressor compressor : {Compressor::kMean, Compressor::kMlp}) {
        for (const auto& [dtype, width] : {std::pair{DType::kBf16, 16}, {DType::kFp16, 32}}) {
            SCOPED_TRACE(std::string{name(dtype)} + (compressor == Compressor::kMlp ? ", mlp" : ", mean"));
            parity::TrialPlan plan;
            plan.options.subject = parity::Subject::kModule;
            plan.options.route = Route::kCuda;
            plan.options.dtype = dtype;
            plan.options.gradients = true;
            plan.options.batch = 1;
            plan.options.seq = 90;
            plan.config.dim = 32;
            plan.config.heads = 4;
            plan.config.groups = 2;
            plan.config.dk = plan.config.dv = width;
            plan.config.n = 3;
            plan.config.w = 40;
            plan.config.rope = true;
            plan.config.compressor = compressor;
            const int before = counted().backwards;
            const parity::TrialResult trial = parity::module_trial(plan, /*seed=*/1);
            expect_cuda(trial.routes);
            EXPECT_EQ(counted().backwards > before, compressor == Compressor::kMlp);
            EXPECT_LE(trial.error.mae, 2 * trial.baseline_mae);
            EXPECT_LE(metric(trial, "bound_ratio"), 1);
            for (const auto& [name, value] : trial.more) {
                if (name.ends_with("bound_ratio")) {
                    EXPECT_LE(value, 1) << name;
                }
            }
            EXPECT_LE(metric(trial, "gradients_bound_ratio"), 1);
        }
    }
}

std::vector<double> losses_by(Route route, train::TrainSmokeOptions o) {
    constexpr int kSteps = 5;
    o.route = route;
    const NsaConfig config = config_of(o);
    train::Trainer trainer{config, o, RoutePolicy{}, tools::DeviceKind::kCpu};
    train::WindowSampler sampler = train::sampler_of("synthetic", o.seq, o.seed);
    std::vector<double> losses;
    for (int step = 0; step < kSteps; ++step) {
        std::vector<std::vector<std::int64_t>> batches;
        for (std::int64_t i = 0; i < o.accumulate; ++i)
            batches.push_back(sampler.draw(static_cast<std::size_t>(o.batch)));
        losses.push_back(trainer.step(batches).loss);
    }
    if (route == Route::kCuda) expect_cuda(trainer.routes());
    return losses;
}

// The seed's shape but for the batch, in two micro-batches.
void expect_training(Compressor compressor) {
    train::TrainSmokeOptions o;
    o.dtype = DType::kBf16;
    o.batch = 1;
    o.accumulate = 2;
    o.compression.compressor = compressor;
    const int forwards = counted().forwards, backwards = counted().backwards;
    const std::vector<double> ours = losses_by(Route::kCuda, o);
    const int launches = compressor == Compressor::kMlp ? 10 : 0;  // two micro-batches of each of five steps
    EXPECT_EQ(counted().forwards - forwards, launches);
    EXPECT_EQ(counted().backwards - backwards, launches);
    const std::vector<double> masked = losses_by(Route::kReference, o);
    for (std::size_t step = 0; step < ours.size(); ++step)
        EXPECT_NEAR(ours[step], masked[step], 1e-3 * masked[step]) << "step " << step;
    EXPECT_LT(ours.back(), ours.front() - 0.3) << "it learns";
}

TEST(EmulatedTraining, loses_what_explicit_masks_lose) {
    expect_training(Compressor::kMean);
}

TEST(EmulatedTraining, loses_with_a_learnable_compressor_what_explicit_masks_lose) {
    expect_training(Compressor::kMlp);
}

}  // namespace
}  // namespace nsa::core
