// The one-kernel step against the layer's own decode in fp64 and the oracle. Label gpu: these fail, not skip,
// without a device.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "cuda_step_cases.hpp"
#include "nsa_core/attention.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/reference.hpp"

namespace nsa::core {
namespace {

using namespace test;

TEST_F(CudaStepTest, every_step_from_the_first_to_the_700th_equals_decode_in_fp64) {
    const GpuLayer layer{NsaConfig{}};
    run(layer, 0, 701, {}).expect_good();
}

TEST_F(CudaStepTest, steps_near_1024_2048_4096_and_8192_equal_decode_in_fp64_on_every_team) {
    const GpuLayer layer{NsaConfig{}};
    for (const std::int64_t begin : {1010, 2030, 4085, 8170}) {
        SCOPED_TRACE(begin);
        on_teams(layer.fp32.config(), begin + 22,
                 [&](cuda::StepTeam team) { run(layer, begin, 22, {.team = team}).expect_good(); });
    }
}

TEST_F(CudaStepTest, steps_equal_decode_in_fp64_over_widths_groups_blocks_gates_and_positions) {
    const NsaConfig cases[] = {
        with([](NsaConfig& c) { c.rope = true; }),
        with([](NsaConfig& c) { c.rope = true, c.gate = GateKind::kSoftmax, c.dk = c.dv = 64; }),
        with([](NsaConfig& c) { c.dim = 96, c.heads = c.groups = 4, c.dk = c.dv = 16, c.n = 4, c.w = 40; }),
        with([](NsaConfig& c) { c.dim = 64, c.heads = 16, c.dk = c.dv = 64, c.n = 4, c.gate_hidden = 33; }),
        with([](NsaConfig& c) { c.heads = 6, c.groups = 1, c.n = 4, c.l = 16, c.d = 8, c.l_sel = 32; }),
        with([](NsaConfig& c) {
            c.dim = 512, c.heads = 10, c.n = 5, c.w = 1, c.d = 32, c.n_initial = 0, c.n_local = 1;
        }),
        with([](NsaConfig& c) {
            c.dim = 1024, c.heads = c.groups = 8, c.dk = c.dv = 16, c.n = 3, c.l = 64, c.l_sel = 32;
        }),
        with([](NsaConfig& c) { c.dim = 32, c.heads = c.groups = 1, c.n = 3, c.gate_hidden = 200; }),
        // Blocks to choose from before there is a compressed token.
        with([](NsaConfig& c) { c.l = 256, c.l_sel = 16, c.n = 3, c.n_local = 1; }),
    };
    for (const NsaConfig& c : cases) {
        SCOPED_TRACE(testing::Message() << "case " << &c - cases);
        const GpuLayer layer{c};
        for (const std::int64_t begin : {0, 240, 390}) {
            SCOPED_TRACE(begin);
            on_teams(c, begin + 40,
                     [&](cuda::StepTeam team) { run(layer, begin, 40, {.team = team}).expect_good(); });
        }
    }
}

TEST_F(CudaStepTest, a_forced_branch_is_the_only_one_that_counts) {
    for (const Branch branch : kBranches) {
        SCOPED_TRACE(name(branch));
        const GpuLayer layer{NsaConfig{}, {.force_branch = branch}};
        run(layer, 1100, 20, {}).expect_good();
    }
}

TEST_F(CudaStepTest, steps_equal_the_oracle) {
    const NsaConfig c = with([](NsaConfig& config) { config.n = 3, config.w = 70; });
    const std::int64_t length = 300;
    const NSAAttention module{c, on_gpu(at::kFloat), 5};
    DecodeCache cache = module.make_cache(1, length);
    CudaStep step{module, cache, length};
    const at::Tensor x = random({1, length, c.dim}, 31, at::kFloat).to(at::kCUDA);
    const reference::ModuleResult truth = reference::module_forward(c, module.parameters(), x);
    std::int64_t ties = 0;
    for (std::int64_t t = 0; t < length; ++t) {
        const at::Tensor out = step.step(x.select(1, t));
        const std::int64_t picks = std::min(c.n, block_count(t + 1, c));
        const Truth want{
            .out = truth.out.select(1, t),
            .blocks = truth.blocks.select(2, t).squeeze(0).narrow(1, 0, picks),
            .importance = truth.importance.select(2, t).squeeze(0).narrow(1, 0, block_count(t + 1, c))};
        if (!same_blocks(want, step.blocks().to(at::kCPU))) {
            ++ties;
            continue;
        }
        ASSERT_LT(max_abs(out, want.out), tolerance(at::kFloat)) << "t = " << t;
    }
    EXPECT_LE(ties, 3);
}

}  // namespace
}  // namespace nsa::core
