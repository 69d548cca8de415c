// The one-kernel step against the layer's own decode in fp64 on a host without a GPU: every thread of it runs
// on the CPU, in another order at each step. On every team: clusters of 16 and 8, and the grid, which is what
// sm_80 runs.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>

#include "emulator/runtime.hpp"
#include "nsa_core/cuda/step/step.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/routes/step_params.hpp"
#include "step_cases.hpp"

namespace nsa::core {
namespace {

using namespace test;
using cuda::StepTeam;

class OnEmulator : public StepCandidate {
  public:
    OnEmulator(const NSAAttention& module, DecodeCache& cache, std::int64_t capacity, StepTeam team)
        : cache_{cache},
          team_{team},
          shape_{step_shape(module.config(), capacity)},
          buffers_{module, static_cast<std::int64_t>(cuda::step_workspace_bytes(shape_, team)), {}, true} {
        EXPECT_EQ(cuda::step_unsupported(shape_, team), std::nullopt);
        EXPECT_TRUE(cuda::step_runs(shape_, team));
        EXPECT_EQ(cuda::prepare_step(shape_, team), cudaSuccess);
        check_step_cache(module, cache);
        cache.reserve(capacity);
        params_ = step_params(module, cache, shape_, buffers_, /*advance=*/true);
        buffers_.length.fill_(cache.length());
    }

    at::Tensor step(const at::Tensor& x) override {
        buffers_.x.copy_(x);
        EXPECT_EQ(cuda::launch_step(params_, team_, nullptr), cudaSuccess);
        (void)emulator::finish(seed_++);
        cache_.extend_to(cache_.length() + 1);
        EXPECT_EQ(buffers_.length.item<int>(), cache_.length());
        return buffers_.out.clone();
    }
    // At the length that the steps before have left.
    at::Tensor step_beyond() {
        EXPECT_EQ(cuda::launch_step(params_, team_, nullptr), cudaSuccess);
        (void)emulator::finish(seed_++);
        return buffers_.out.clone();
    }
    [[nodiscard]] at::Tensor reads() const override { return buffers_.reads; }
    [[nodiscard]] at::Tensor blocks() const override { return buffers_.blocks; }

  private:
    DecodeCache& cache_;
    StepTeam team_;
    cuda::StepShape shape_;
    StepBuffers buffers_;
    cuda::StepParams params_;
    std::uint64_t seed_ = 0;
};

constexpr StepTeam kTeams[] = {StepTeam::kCluster16, StepTeam::kCluster8, StepTeam::kGrid};

Tally run(const Layer& layer, std::int64_t begin, std::int64_t count, StepTeam team) {
    return run_candidate(layer, begin, count,
                         [&](const NSAAttention& module, DecodeCache& cache, std::int64_t capacity) {
                             return std::make_unique<OnEmulator>(module, cache, capacity, team);
                         });
}

TEST(EmulatedStep, the_default_layer_equals_decode_in_fp64) {
    const Layer layer{NsaConfig{}};
    for (const StepTeam team : kTeams) {
        SCOPED_TRACE(static_cast<int>(team));
        run(layer, 0, 3, team).expect_good();
        run(layer, 30, 3, team).expect_good();    // the first compressed token
        run(layer, 1535, 3, team).expect_good();  // more blocks than are selected
    }
}

TEST(EmulatedStep, widths_groups_blocks_gates_and_positions_equal_decode_in_fp64) {
    const NsaConfig cases[] = {
        with([](NsaConfig& c) { c.rope = true, c.gate = GateKind::kSoftmax, c.dk = c.dv = 64; }),
        with([](NsaConfig& c) { c.dim = 96, c.heads = c.groups = 4, c.dk = c.dv = 16, c.n = 4, c.w = 15; }),
        with([](NsaConfig& c) { c.dim = 64, c.heads = 16, c.dk = c.dv = 64, c.n = 4, c.gate_hidden = 33; }),
        with([](NsaConfig& c) { c.heads = 6, c.groups = 1, c.n = 4, c.l = 16, c.d = 8, c.l_sel = 32; }),
        with([](NsaConfig& c) {
            c.dim = 512, c.heads = 10, c.n = 5, c.w = 1, c.d = 32, c.n_initial = 0, c.n_local = 1;
        }),
        with(
            [](NsaConfig& c) { c.dim = 32, c.heads = c.groups = 1, c.n = 3, c.gate_hidden = 200, c.w = 17; }),
        // Blocks to choose from before there is a compressed token.
        with([](NsaConfig& c) { c.l = 256, c.l_sel = 16, c.n = 3, c.n_local = 1; }),
    };
    for (const NsaConfig& c : cases) {
        SCOPED_TRACE(testing::Message() << "case " << &c - cases);
        const Layer layer{c};
        for (const StepTeam team : kTeams) {
            SCOPED_TRACE(static_cast<int>(team));
            run(layer, 255, 2, team).expect_good();
        }
    }
}

TEST(EmulatedStep, a_length_that_the_cache_does_not_hold_gives_nan) {
    const NSAAttention module{NsaConfig{}, at::kFloat, 5};
    for (const StepTeam team : kTeams) {
        SCOPED_TRACE(static_cast<int>(team));
        DecodeCache cache = module.make_cache(1, 40);
        fill(module.config(), 39, {&cache});
        OnEmulator step{module, cache, 40, team};
        EXPECT_FALSE(step.step(token(module.config(), 39)).isnan().any().item<bool>());
        EXPECT_TRUE(step.step_beyond().isnan().all().item<bool>());
    }
}

// Preparing a small step must not take shared memory from a larger one of the same kernel.
TEST(EmulatedStep, a_large_step_still_runs_after_a_small_one_was_prepared) {
    const NSAAttention module{NsaConfig{}, at::kFloat, 5};
    for (const StepTeam team : kTeams) {
        SCOPED_TRACE(static_cast<int>(team));
        DecodeCache large = module.make_cache(1, 4000);
        DecodeCache small = module.make_cache(1, 64);
        OnEmulator step{module, large, 4000, team};
        OnEmulator other{module, small, 64, team};
        (void)step.step(token(module.config(), 0));
    }
}

TEST(EmulatedStep, caches_of_another_layer_are_refused) {
    const NSAAttention module{NsaConfig{}, at::kFloat, 5};
    const auto refusal = [&](const NsaConfig& of, std::int64_t batch, at::ScalarType type) {
        DecodeCache cache{of, batch, 64, type};
        try {
            check_step_cache(module, cache);
        } catch (const InputError& error) {
            return std::string{error.what()};
        }
        return std::string{"taken"};
    };
    EXPECT_EQ(refusal(NsaConfig{}, 1, at::kFloat), "taken");
    EXPECT_THAT(refusal(NsaConfig{}, 2, at::kFloat), testing::HasSubstr("holds 2"));
    EXPECT_THAT(refusal(NsaConfig{}, 1, at::kDouble), testing::HasSubstr("raw rows of the cache are"));
    const auto wide = with([](NsaConfig& c) { c.dk = c.dv = 64; });
    EXPECT_THAT(refusal(wide, 1, at::kFloat), testing::HasSubstr("the layer needs [1, 2, capacity, 32]"));
    const auto grouped = with([](NsaConfig& c) { c.groups = 4; });
    EXPECT_THAT(refusal(grouped, 1, at::kFloat), testing::HasSubstr("[1, 4, 64, 32]"));
}

TEST(EmulatedStep, sizes_near_the_largest_int_are_refused) {
    const auto reason = [](const auto& change) {
        cuda::StepShape shape = step_shape(NsaConfig{}, 64);
        change(shape);
        return cuda::step_unsupported(shape, StepTeam::kGrid).value_or("supported");
    };
    constexpr int kLargest = std::numeric_limits<int>::max();
    EXPECT_EQ(reason([](cuda::StepShape&) {}), "supported");
    EXPECT_THAT(reason([](cuda::StepShape& s) { s.capacity = kLargest; }), testing::HasSubstr("capacity"));
    EXPECT_THAT(reason([](cuda::StepShape& s) { s.n_initial = kLargest; }), testing::HasSubstr("forced"));
    EXPECT_EQ(reason([](cuda::StepShape& s) { s.w = kLargest; }), "supported");
    EXPECT_EQ(step_shape(NsaConfig{}, std::int64_t{1} << 40).capacity, kLargest);
}

TEST(EmulatedStep, what_a_chip_with_little_shared_memory_cannot_hold_is_said_in_its_own_numbers) {
    cuda::StepShape shape = step_shape(NsaConfig{}, 64);
    while (!cuda::step_unsupported(shape, StepTeam::kGrid, 99 * 1024))
        shape.capacity += 1024;
    EXPECT_EQ(cuda::step_unsupported(shape, StepTeam::kGrid), std::nullopt);
    EXPECT_THAT(cuda::step_unsupported(shape, StepTeam::kGrid, 99 * 1024).value_or(""),
                testing::HasSubstr("and there are 101376"));
}

}  // namespace
}  // namespace nsa::core
