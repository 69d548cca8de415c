// Route cuda for a decode step against the fp64 oracle, over the grid of types, widths, heads in a group and
// ragged lengths. Label gpu: these fail, not skip, without a device. The suite CudaDecodeSmall is what runs
// under compute-sanitizer.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <tuple>

#include "kernel_cases.hpp"
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
using test::expect_clean;
using test::kTypes;
using test::kWidths;
using test::Widths;

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

const at::Device kGpu{at::kCUDA, 0};

StepReport run_cuda(const StepCase& c) {
    StepProblem problem{c};
    return parity::check_step(c, problem, kGpu, parity::cuda_candidate());
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
    return test::name_of(dtype, widths) + "_g" + std::to_string(per_group);
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
    for (const std::int64_t page : {64, 128, 192, 256, 320}) {
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
    for (const Change change : {Change{4, 1, 2, 64}, Change{8, 2, 3, 100}, Change{32, 1, 2, 1},
                                Change{3, 1, 2, 2048}, Change{4, 1, 2, 15}, Change{4, 1, 2, 17}}) {
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
void draw_next_token(PagedStepInputs& in) {
    in.q.normal_();
    for (const KeysValues* rows : {&in.raw, &in.sel, &in.win}) {
        rows->k.normal_();
        rows->v.normal_();
    }
}

TEST_F(CudaDecodeTest, steps_of_growing_sequences_equal_the_oracle_at_each_step) {
    StepCase c{.config = config_of({64, 64}, 4), .positions = {0, 0, 0, -1}};
    StepProblem problem{c};
    problem.cache =
        PagedCache{c.config, {.batch = 4, .max_tokens = 200, .pages = 12}, problem.in.q.options()};
    for (std::int64_t b = 0; b < 3; ++b) {
        problem.cache.reserve(b, 200);
        problem.cache.position().select(0, b).fill_(0);
    }
    for (int t = 0; t < 150; ++t) {
        SCOPED_TRACE(t);
        draw_next_token(problem.in);
        expect_clean(c, parity::check_step(c, problem, kGpu, parity::cuda_candidate()));
        problem.cache.advance();
        for (std::int64_t& position : c.positions)
            position += position >= 0 ? 1 : 0;
    }
}

// A batch on the device with fixed addresses, as a server that replays a graph has it.
struct Served {
    Served(const StepCase& c, const StepProblem& problem)
        : cache{problem.cache.copy_to(kGpu)},
          in{.q = problem.in.q.to(kGpu),
             .gates = problem.in.gates.to(kGpu),
             .raw = {.k = problem.in.raw.k.to(kGpu), .v = problem.in.raw.v.to(kGpu)},
             .sel = {.k = problem.in.sel.k.to(kGpu), .v = problem.in.sel.v.to(kGpu)},
             .win = {.k = problem.in.win.k.to(kGpu), .v = problem.in.win.v.to(kGpu)}},
          out{.out = at::empty({std::ssize(c.positions), c.config.heads, c.config.dv}, in.q.options()),
              .blocks = {},
              .reads = {}} {}

    void take(const PagedStepInputs& next, const at::Tensor& positions) {
        in.q.copy_(next.q);
        for (const auto& [to, from] :
             {std::pair{&in.raw, &next.raw}, std::pair{&in.sel, &next.sel}, std::pair{&in.win, &next.win}}) {
            to->k.copy_(from->k);
            to->v.copy_(from->v);
        }
        at::Tensor position = cache.position();
        position.copy_(positions);
    }

    PagedCache cache;
    PagedStepInputs in;
    PagedStepOutputs out;
};

// Not as compute_80 PTX: Torch's graphs begin with a kernel of Torch's own, which comes without PTX.
class CudaDecodeCaptured : public CudaDecodeTest {};

TEST_F(CudaDecodeCaptured, a_captured_step_serves_sequences_as_they_grow) {
    const StepCase c = case_of(config_of({128, 128}, 16), DType::kBf16, 1300);
    StepProblem problem{c};
    Served eager{c, problem};
    Served replayed{c, problem};
    CudaDecode plain{eager.cache};
    CudaDecode captured{replayed.cache};
    Captured graph{[&] { captured.step(replayed.in, replayed.cache, replayed.out); }};
    EXPECT_EQ(graph.nodes(), 2U);
    at::Tensor positions = problem.cache.position().clone();
    for (int t = 0; t < 20; ++t) {
        SCOPED_TRACE(t);
        plain.step(eager.in, eager.cache, eager.out);
        graph.replay();
        ASSERT_TRUE(at::equal(eager.out.out.cpu(), replayed.out.out.cpu()));
        // A sequence whose next token has no page, or that is as long as the cache allows, becomes idle.
        const at::Tensor next = positions + 1;
        const at::Tensor ends =
            positions.lt(0).logical_or(next.remainder(c.page_tokens).eq(0)).logical_or(next.gt(1300));
        positions = next.masked_fill(ends, -1);
        draw_next_token(problem.in);
        eager.take(problem.in, positions);
        replayed.take(problem.in, positions);
    }
    EXPECT_TRUE(positions.ge(0).any().item<bool>());
}

TEST_F(CudaDecodeTest, tensors_that_do_not_fit_the_cache_are_refused_by_name) {
    const StepCase c = case_of(config_of({64, 64}, 4), DType::kBf16, 100);
    const StepProblem problem{c};
    Served served{c, problem};
    CudaDecode step{served.cache};
    served.in.gates = problem.in.gates.to(at::kFloat).to(kGpu);
    try {
        step.step(served.in, served.cache, served.out);
        FAIL() << "gates of another type were taken";
    } catch (const InputError& error) {
        EXPECT_NE(std::string{error.what()}.find("gates must be a contiguous tensor"), std::string::npos);
    }
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
