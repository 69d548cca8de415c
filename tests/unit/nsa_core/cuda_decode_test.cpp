// Route cuda for a decode step against the fp64 oracle, over the grid of types, widths, heads in a group and
// ragged lengths. Label gpu: these fail, not skip, without a device. The suite CudaDecodeSmall is what runs
// under compute-sanitizer.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <tuple>

#include "nsa_core/device.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/parity/plan.hpp"
#include "nsa_core/parity/step_check.hpp"
#include "nsa_core/routes/captured.hpp"
#include "nsa_core/routes/cuda_decode.hpp"

namespace nsa::core {
namespace {

using parity::StepCase;
using parity::StepData;
using parity::StepProblem;
using parity::StepReport;

struct Widths {
    std::int64_t dk;
    std::int64_t dv;
};
constexpr Widths kWidths[] = {{32, 32}, {64, 64}, {96, 96}, {128, 128}, {192, 128}};
constexpr DType kTypes[] = {DType::kBf16, DType::kFp16};
constexpr std::int64_t kLongest = 2500;  // blocks to choose from, and the oracle's loops stay short

NsaConfig config_of(Widths widths, std::int64_t per_group, std::int64_t groups = 2) {
    NsaConfig config;
    config.heads = groups * per_group;
    config.groups = groups;
    config.dk = widths.dk;
    config.dv = widths.dv;
    return config;
}

StepCase case_of(const NsaConfig& config, DType dtype, std::int64_t longest = kLongest) {
    return {.config = config, .dtype = dtype, .positions = parity::edge_positions(config, longest)};
}

StepReport run_cuda(const StepCase& c) {
    const StepProblem problem{c, at::Device{at::kCUDA, 0}};
    CudaDecode step{problem.cache};
    return parity::check_step(
        c, problem, [&](const PagedStepInputs& in, const PagedCache& cache, const PagedStepOutputs& out) {
            step.workspace().fill_(0xFF);  // NaN: the scratch holds nothing between steps
            step.step(in, cache, out);
        });
}

void expect_clean(const StepCase& c, const StepReport& r) {
    EXPECT_LE(r.bound_ratio, 1) << "max error " << r.error.max_abs << " at sequence "
                                << (r.error.worst_index.empty() ? -1 : r.error.worst_index.front());
    EXPECT_EQ(r.error.nan_count, 0);
    EXPECT_EQ(r.selection_faults, 0) << r.selection_ties << " ties";
    EXPECT_EQ(r.reads_mismatches, 0);
    EXPECT_EQ(r.canary_hits, 0);
    EXPECT_EQ(r.cache_faults, 0);
    EXPECT_EQ(r.compressed_faults, 0);
    EXPECT_EQ(r.idle_faults, 0);
    EXPECT_EQ(r.rerun_differences, 0);
    // A tie is rounding: more than a few among random scores would be a fault in the importance. Among scores
    // that are all but equal, or that vanish in fp32, it is no wonder.
    if (c.data == StepData::kNormal) {
        EXPECT_LE(r.selection_ties, 1 + std::ssize(c.positions) * c.config.groups / 10);
    }
    EXPECT_TRUE(r.clean());
}

class CudaDecodeTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(kernels_built()) << "this test needs a build with nvcc";
        ASSERT_TRUE(cuda_available()) << "this test needs a CUDA device";
    }
};

class CudaDecodeGrid : public CudaDecodeTest,
                       public testing::WithParamInterface<std::tuple<DType, Widths, std::int64_t>> {};

std::string grid_name(const testing::TestParamInfo<CudaDecodeGrid::ParamType>& info) {
    const auto& [dtype, widths, per_group] = info.param;
    return std::string{name(dtype)} + "_dk" + std::to_string(widths.dk) + "_dv" + std::to_string(widths.dv) +
           "_g" + std::to_string(per_group);
}

TEST_P(CudaDecodeGrid, ragged_lengths_equal_the_oracle) {
    const auto& [dtype, widths, per_group] = GetParam();
    const StepCase c = case_of(config_of(widths, per_group), dtype);
    expect_clean(c, run_cuda(c));
}

INSTANTIATE_TEST_SUITE_P(AllShapes, CudaDecodeGrid,
                         testing::Combine(testing::ValuesIn(kTypes), testing::ValuesIn(kWidths),
                                          testing::Values(1, 2, 4, 8, 16)),
                         grid_name);

class CudaDecodeData : public CudaDecodeTest,
                       public testing::WithParamInterface<std::tuple<DType, StepData>> {};

TEST_P(CudaDecodeData, unusual_values_equal_the_oracle) {
    const auto& [dtype, data] = GetParam();
    for (const Widths widths : kWidths) {
        SCOPED_TRACE("dk " + std::to_string(widths.dk));
        StepCase c = case_of(config_of(widths, /*per_group=*/16), dtype);
        c.data = data;
        expect_clean(c, run_cuda(c));
    }
}

std::string data_name(const testing::TestParamInfo<CudaDecodeData::ParamType>& info) {
    constexpr const char* kNames[] = {"normal", "tiny", "huge", "equal_keys"};
    return std::string{name(std::get<0>(info.param))} + "_" +
           kNames[static_cast<int>(std::get<1>(info.param))];
}

INSTANTIATE_TEST_SUITE_P(Values, CudaDecodeData,
                         testing::Combine(testing::ValuesIn(kTypes),
                                          testing::Values(StepData::kTiny, StepData::kHuge,
                                                          StepData::kEqualKeys)),
                         data_name);

TEST_F(CudaDecodeTest, pages_of_every_size_give_the_same_step) {
    for (const std::int64_t page : {64, 128, 256}) {
        SCOPED_TRACE(page);
        StepCase c = case_of(config_of({128, 128}, 16), DType::kBf16);
        c.page_tokens = page;
        expect_clean(c, run_cuda(c));
    }
}

TEST_F(CudaDecodeTest, blocks_without_overlap_equal_the_oracle) {
    for (const DType dtype : kTypes) {
        NsaConfig config = config_of({128, 128}, 4);
        config.l = config.d = 16;
        const StepCase c = case_of(config, dtype);
        expect_clean(c, run_cuda(c));
    }
}

TEST_F(CudaDecodeTest, other_counts_of_blocks_and_windows_equal_the_oracle) {
    struct Change {
        std::int64_t n, n_initial, n_local, w;
    };
    for (const Change change :
         {Change{4, 1, 2, 64}, Change{8, 2, 3, 100}, Change{32, 1, 2, 1}, Change{3, 1, 2, 2048}}) {
        SCOPED_TRACE("n " + std::to_string(change.n) + ", w " + std::to_string(change.w));
        NsaConfig config = config_of({64, 64}, 8);
        config.n = change.n;
        config.n_initial = change.n_initial;
        config.n_local = change.n_local;
        config.w = change.w;
        const StepCase c = case_of(config, DType::kBf16);
        expect_clean(c, run_cuda(c));
    }
}

TEST_F(CudaDecodeTest, long_sequences_and_many_groups_equal_the_oracle) {
    StepCase c = case_of(config_of({128, 128}, 16, /*groups=*/4), DType::kBf16);
    c.positions = {20000, 8191, -1, 12345};
    expect_clean(c, run_cuda(c));
}

TEST_F(CudaDecodeTest, a_single_sequence_equals_the_oracle_at_every_length) {
    StepCase c = case_of(config_of({128, 128}, 16, /*groups=*/4), DType::kBf16);
    for (const std::int64_t t : parity::edge_positions(c.config, 5000)) {
        if (t < 0) continue;
        SCOPED_TRACE(t);
        c.positions = {t};
        expect_clean(c, run_cuda(c));
    }
}

// The token after the last one, drawn anew; the caches stay as the steps before left them.
void draw_next_token(StepProblem& problem) {
    PagedStepInputs& in = problem.in;
    in.q.normal_();
    for (const KeysValues* rows : {&in.raw, &in.sel, &in.win}) {
        rows->k.normal_();
        rows->v.normal_();
    }
}

TEST_F(CudaDecodeTest, steps_of_growing_sequences_equal_the_oracle_at_each_step) {
    StepCase c{.config = config_of({64, 64}, 4), .positions = {0, 0, 0, -1}};
    StepProblem problem{c, at::Device{at::kCUDA, 0}};
    problem.cache =
        PagedCache{c.config, {.batch = 4, .max_tokens = 200, .pages = 12}, problem.in.q.options()};
    for (std::int64_t b = 0; b < 3; ++b) {
        problem.cache.reserve(b, 200);
        problem.cache.position().select(0, b).fill_(0);
    }
    CudaDecode step{problem.cache};
    for (int t = 0; t < 150; ++t) {
        SCOPED_TRACE(t);
        draw_next_token(problem);
        const StepReport report = parity::check_step(
            c, problem, [&](const PagedStepInputs& in, const PagedCache& cache, const PagedStepOutputs& out) {
                step.step(in, cache, out);
            });
        expect_clean(c, report);
        problem.cache.advance();
        for (std::int64_t& position : c.positions)
            position += position >= 0 ? 1 : 0;
    }
}

TEST_F(CudaDecodeTest, a_captured_step_serves_sequences_as_they_grow) {
    const StepCase c = case_of(config_of({128, 128}, 16), DType::kBf16, 1300);
    StepProblem eager{c, at::Device{at::kCUDA, 0}};
    StepProblem replayed{c, at::Device{at::kCUDA, 0}};
    const auto outputs_of = [&] {
        const at::TensorOptions index = eager.in.q.options().dtype(at::kInt);
        const std::int64_t batch = std::ssize(c.positions);
        return PagedStepOutputs{.out = at::zeros({batch, c.config.heads, c.config.dv}, eager.in.q.options()),
                                .blocks = at::zeros({batch, c.config.groups, c.config.n}, index),
                                .reads = at::zeros({batch, c.config.groups, 3}, index)};
    };
    const PagedStepOutputs a = outputs_of();
    const PagedStepOutputs b = outputs_of();
    CudaDecode plain{eager.cache};
    CudaDecode captured{replayed.cache};
    Captured graph{[&] { captured.step(replayed.in, replayed.cache, b); }};
    b.reads.zero_();  // the capture ran the step as well
    EXPECT_EQ(graph.nodes(), 2U);
    // Sequences end where their pages do: only those whose page has room can grow.
    for (int t = 0; t < 20; ++t) {
        SCOPED_TRACE(t);
        plain.step(eager.in, eager.cache, a);
        graph.replay();
        ASSERT_TRUE(at::equal(a.out, b.out));
        ASSERT_TRUE(at::equal(a.reads, b.reads));
        for (StepProblem* problem : {&eager, &replayed}) {
            for (std::int64_t s = 0; s < std::ssize(c.positions); ++s) {
                const std::int64_t next = c.positions[static_cast<std::size_t>(s)] + t + 1;
                if (next % c.page_tokens == 0 || next >= c.positions.back())
                    problem->cache.position()[s].fill_(-1);
            }
            problem->cache.advance();
        }
        draw_next_token(eager);
        replayed.in.q.copy_(eager.in.q);
        for (const auto& [to, from] :
             {std::pair{&replayed.in.raw, &eager.in.raw}, std::pair{&replayed.in.sel, &eager.in.sel},
              std::pair{&replayed.in.win, &eager.in.win}}) {
            to->k.copy_(from->k);
            to->v.copy_(from->v);
        }
    }
}

TEST_F(CudaDecodeTest, tensors_that_do_not_fit_the_cache_are_refused_by_name) {
    const StepCase c = case_of(config_of({64, 64}, 4), DType::kBf16, 100);
    const StepProblem problem{c, at::Device{at::kCUDA, 0}};
    CudaDecode step{problem.cache};
    PagedStepInputs in = problem.in;
    in.gates = in.gates.to(at::kFloat);
    const PagedStepOutputs out{.out = at::empty_like(problem.in.q), .blocks = {}, .reads = {}};
    EXPECT_THROW(step.step(in, problem.cache, out), InputError);
}

class CudaDecodeSmall : public CudaDecodeTest {};

TEST_F(CudaDecodeSmall, edges_of_one_shape) {
    for (const Widths widths : {Widths{64, 64}, Widths{192, 128}}) {
        const StepCase c = case_of(config_of(widths, 16), DType::kBf16, 1300);
        expect_clean(c, run_cuda(c));
    }
    const StepCase one = case_of(config_of({128, 128}, 1), DType::kFp16, 600);
    expect_clean(one, run_cuda(one));
}

}  // namespace
}  // namespace nsa::core
