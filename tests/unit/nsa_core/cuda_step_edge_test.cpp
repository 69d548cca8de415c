// The one-kernel step at its edges: ties, NaN, huge scores, repetition, what lies beside its outputs,
// refusals. Label gpu. The suite CudaStepSmall is what runs under compute-sanitizer.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/cuda/CUDAStream.h>
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

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Every compressed key alike: all inner blocks tie exactly, and the lower index wins.
TEST_F(CudaStepTest, equal_importance_picks_the_lower_blocks) {
    const NSAAttention module{NsaConfig{}, on_gpu(at::kFloat), 5};
    const NsaConfig& c = module.config();
    const std::int64_t length = 2000;  // the compressed token of this step does not exist: 2001 - 32 is odd
    DecodeCache cache = module.make_cache(1, length + 1);
    fill(c, length, {&cache});
    cache.cmp().k.storage().fill_(0.5);
    CudaStep step{module, cache, length + 1};
    (void)step.step(gpu_token(c, length));
    const at::Tensor blocks = step.blocks().to(at::kCPU);
    for (std::int64_t g = 0; g < c.groups; ++g) {
        // Block 0 is forced; the last block overlaps fewer tokens; 30 and 31 are local.
        for (int i = 0; i < 14; ++i)
            EXPECT_EQ(blocks[g][i].item<int>(), i);
        EXPECT_EQ(blocks[g][14].item<int>(), 30);
        EXPECT_EQ(blocks[g][15].item<int>(), 31);
    }
}

TEST_F(CudaStepTest, huge_scores_do_not_overflow) {
    const GpuLayer layer{NsaConfig{}};
    {
        const at::NoGradGuard no_grad;
        for (const NSAAttention* module : {&layer.fp32, &layer.fp64}) {
            const at::Tensor wq = module->parameters().front().tensor;
            wq.mul_(300);
        }
    }
    const Tally tally = run(layer, 1500, 20, {});
    EXPECT_LE(tally.ours,
              4 * tally.plain + 1e-3);  // scores of hundreds carry their own rounding into the exponent
}

// A visible NaN must come out, not vanish in a maximum; an importance that is NaN counts as 0, as in
// select_blocks.
TEST_F(CudaStepTest, a_visible_nan_makes_the_output_nan_and_picks_the_forced_and_the_lower_blocks) {
    const NSAAttention module{NsaConfig{}, on_gpu(at::kFloat), 5};
    const NsaConfig& c = module.config();
    DecodeCache cache = module.make_cache(1, 1501);
    fill(c, 1500, {&cache});
    cache.cmp().k.storage().select(2, 7).fill_(kNaN);
    CudaStep step{module, cache, 1501};
    EXPECT_TRUE(step.step(gpu_token(c, 1500)).isnan().all().item<bool>());
    const at::Tensor blocks = step.blocks().to(at::kCPU);
    for (std::int64_t g = 0; g < c.groups; ++g) {
        for (int i = 0; i < 14; ++i)
            EXPECT_EQ(blocks[g][i].item<int>(), i);
        EXPECT_EQ(blocks[g][14].item<int>(), 22);
        EXPECT_EQ(blocks[g][15].item<int>(), 23);
    }
}

TEST_F(CudaStepTest, two_runs_and_a_graph_are_equal_bit_for_bit) {
    const NSAAttention module{NsaConfig{}, on_gpu(at::kFloat), 5};
    const NsaConfig& c = module.config();
    on_teams(c, 1340, [&](cuda::StepTeam team) {
        const auto decode = [&](bool graph) {
            DecodeCache cache = module.make_cache(1, 1340);
            fill(c, 1300, {&cache});
            CudaStep step{module, cache, 1340, {.team = team, .graph = graph}};
            std::vector<at::Tensor> results;
            for (std::int64_t t = 1300; t < 1340; ++t)
                results.push_back(step.step(gpu_token(c, t)).flatten().clone());
            results.push_back(cache.cmp().k.rows().flatten());
            return at::cat(results);
        };
        const at::Tensor first = decode(false);
        EXPECT_TRUE(at::equal(first, decode(false)));
        EXPECT_TRUE(at::equal(first, decode(true)));
    });
}

TEST_F(CudaStepTest, a_cache_that_is_truncated_and_decoded_into_by_other_means_goes_on) {
    const NSAAttention module{NsaConfig{}, on_gpu(at::kFloat), 5};
    const NsaConfig& c = module.config();
    DecodeCache cache = module.make_cache(1, 64);
    CudaStep step{module, cache, 64, {.graph = true}};
    std::vector<at::Tensor> straight;
    for (std::int64_t t = 0; t < 50; ++t)
        straight.push_back(step.step(gpu_token(c, t)).clone());
    cache.truncate(30);
    EXPECT_TRUE(at::equal(step.step(gpu_token(c, 30)), straight[30]));
    (void)module.decode(gpu_token(c, 31), cache);
    for (std::int64_t t = 32; t < 50; ++t)
        EXPECT_LT(max_abs(step.step(gpu_token(c, t)), straight[static_cast<std::size_t>(t)]), 1e-5)
            << "t = " << t;
}

TEST_F(CudaStepTest, without_advancing_the_same_step_repeats) {
    const NSAAttention module{NsaConfig{}, on_gpu(at::kFloat), 5};
    const NsaConfig& c = module.config();
    DecodeCache cache = module.make_cache(1, 512);
    fill(c, 511, {&cache});
    CudaStep step{module, cache, 512, {.graph = true, .advance = false}};
    const at::Tensor first = step.step(gpu_token(c, 511)).clone();
    EXPECT_TRUE(at::equal(step.step(gpu_token(c, 511)), first));
    EXPECT_EQ(cache.length(), 511);
}

// Outputs between canaries, and rows that a step has no business with.
TEST_F(CudaStepSmall, nothing_is_written_beside_the_results) {
    const NsaConfig c = with([](NsaConfig& config) { config.n = 3, config.w = 40; });
    const NSAAttention module{c, on_gpu(at::kFloat), 5};
    on_teams(c, 300, [&](cuda::StepTeam team) {
        DecodeCache cache = module.make_cache(1, 400);  // more room than the step is made for
        fill(c, 280, {&cache});
        const at::Tensor canvas = at::full({3, c.dim}, kNaN, on_gpu(at::kFloat));
        canvas.select(0, 0).fill_(7);
        canvas.select(0, 2).fill_(9);
        CudaStep step{module, cache, 300, {.team = team, .out = canvas.narrow(0, 1, 1)}};
        const at::Tensor before[] = {cache.raw().k.storage().clone(), cache.sel().v.storage().clone(),
                                     cache.win().k.storage().clone(), cache.cmp().v.storage().clone()};
        for (std::int64_t t = 280; t < 290; ++t) {  // 287 completes a compressed token
            canvas.select(0, 1).fill_(kNaN);
            EXPECT_FALSE(step.step(gpu_token(c, t)).isnan().any().item<bool>()) << "t = " << t;
        }
        EXPECT_TRUE(canvas.select(0, 0).eq(7).all().item<bool>());
        EXPECT_TRUE(canvas.select(0, 2).eq(9).all().item<bool>());
        const at::Tensor after[] = {cache.raw().k.storage(), cache.sel().v.storage(), cache.win().k.storage(),
                                    cache.cmp().v.storage()};
        for (int i = 0; i < 4; ++i) {
            const std::int64_t first = i < 3 ? 280 : compressed_count(280, c);
            const std::int64_t end = i < 3 ? 290 : compressed_count(290, c);
            const auto same = [&](std::int64_t from, std::int64_t to) {
                return at::equal(before[i].narrow(2, from, to - from).nan_to_num(1e9),
                                 after[i].narrow(2, from, to - from).nan_to_num(1e9));
            };
            EXPECT_TRUE(same(0, first)) << "buffer " << i;
            EXPECT_TRUE(same(end, before[i].size(2))) << "buffer " << i;
        }
    });
}

// The kernel's own guard: the host checks too, but a graph that is replayed by hand passes it by.
TEST_F(CudaStepSmall, a_length_that_the_caches_do_not_hold_gives_nan_and_writes_nothing_else) {
    const cuda::StepShape shape{
        .dim = 64, .heads = 2, .groups = 2, .dk = 16, .dv = 16, .gate_hidden = 8, .capacity = 4};
    const at::Tensor zeros = at::zeros({64 * 64}, on_gpu(at::kFloat));
    const at::Tensor length = at::zeros({1}, on_gpu(at::kInt));
    const at::Tensor out = at::zeros({64}, on_gpu(at::kFloat));
    float* const zero = zeros.mutable_data_ptr<float>();
    const cuda::StepRows rows{.k = zero, .v = zero, .group_stride_k = 64, .group_stride_v = 64};
    for (const cuda::StepTeam team : kTeams) {
        if (!cuda::step_runs(shape, team)) continue;
        const at::Tensor workspace = at::zeros(
            {static_cast<std::int64_t>(cuda::step_workspace_bytes(shape, team)) + 1}, on_gpu(at::kByte));
        const cuda::StepParams params{.shape = shape,
                                      .weights = {.q = zero,
                                                  .rows = {zero, zero, zero, zero, zero, zero},
                                                  .gate_w1 = zero,
                                                  .gate_b1 = zero,
                                                  .gate_w2 = zero,
                                                  .gate_b2 = zero,
                                                  .out = zero},
                                      .raw = rows,
                                      .cmp = rows,
                                      .sel = rows,
                                      .win = rows,
                                      .length = length.mutable_data_ptr<int>(),
                                      .x = zero,
                                      .out = out.mutable_data_ptr<float>(),
                                      .workspace = workspace.mutable_data_ptr(),
                                      .scale = 1.0F,
                                      .advance = true};
        ASSERT_EQ(cuda::prepare_step(shape, team), cudaSuccess);
        for (const int outside : {-1, 4, 1000000}) {
            length.fill_(outside);
            out.zero_();
            ASSERT_EQ(cuda::launch_step(params, team, c10::cuda::getCurrentCUDAStream()), cudaSuccess);
            EXPECT_TRUE(out.isnan().all().item<bool>()) << outside;
            EXPECT_EQ(length.item<int>(), outside);
            EXPECT_EQ(zeros.abs().sum().item<float>(), 0.0F);
        }
        length.fill_(3);
        ASSERT_EQ(cuda::launch_step(params, team, c10::cuda::getCurrentCUDAStream()), cudaSuccess);
        EXPECT_EQ(out.abs().sum().item<float>(), 0.0F);
        EXPECT_EQ(length.item<int>(), 4);
    }
}

TEST_F(CudaStepSmall, what_it_cannot_run_is_refused_with_the_reason) {
    const auto reason = [](const NsaConfig& c, at::ScalarType type = at::kFloat,
                           std::int64_t capacity = 512) {
        return CudaStep::unsupported_reason(NSAAttention{c, on_gpu(type), 5}, capacity).value_or("");
    };
    EXPECT_EQ(reason({}), "");
    EXPECT_NE(reason({}, at::kDouble).find("fp32"), std::string::npos);
    EXPECT_NE(reason(with([](NsaConfig& c) { c.compressor = Compressor::kMlp; })).find("phi"),
              std::string::npos);
    EXPECT_NE(reason(with([](NsaConfig& c) { c.dk = 24; })).find("dk = 24"), std::string::npos);
    EXPECT_NE(reason(with([](NsaConfig& c) { c.dim = 40; })).find("dim = 40"), std::string::npos);
    EXPECT_NE(reason(with([](NsaConfig& c) { c.heads = 9, c.groups = 3; })).find("groups = 3"),
              std::string::npos);

    const NSAAttention module{NsaConfig{}, on_gpu(at::kFloat), 5};
    DecodeCache cache = module.make_cache(1, 2);
    CudaStep step{module, cache, 2};
    const at::Tensor x = gpu_token(module.config(), 0);
    (void)step.step(x);
    (void)step.step(x);
    EXPECT_THROW((void)step.step(x), InputError);  // full
    cache.truncate(1);
    EXPECT_THROW((void)step.step(x.to(at::kDouble)), InputError);
    EXPECT_THROW((void)step.step(x.narrow(1, 0, 128)), InputError);
    (void)module.decode(x, cache);
    (void)module.decode(x, cache);  // grows, and so moves
    cache.truncate(1);
    EXPECT_THROW((void)step.step(x), InputError);
    DecodeCache two = module.make_cache(2, 2);
    EXPECT_THROW((CudaStep{module, two, 2}), InputError);
}

}  // namespace
}  // namespace nsa::core
