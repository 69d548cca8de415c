// The decode kernels against the fp64 oracle on a host without a GPU: every thread of them runs on the CPU,
// in several orders. With clusters and dependent launch, as on sm_90, and without, as on sm_80.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>
#include <vector>

#include "emulator/runtime.hpp"
#include "kernel_cases.hpp"
#include "nsa_core/cuda/decode/decode.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/parity/plan.hpp"
#include "nsa_core/parity/step_check.hpp"
#include "nsa_core/routes/decode_params.hpp"
#include "nsa_core/routes/decode_shape.hpp"

namespace nsa::core {
namespace {

using parity::StepCase;
using parity::StepData;
using parity::StepProblem;
using test::expect_clean;
using test::kTypes;
using test::kWidths;
using test::Widths;

// Short blocks: all edges lie below 200 tokens.
NsaConfig small_config(std::int64_t dk, std::int64_t dv, std::int64_t per_group) {
    NsaConfig config;
    config.groups = 2;
    config.heads = 2 * per_group;
    config.dk = dk;
    config.dv = dv;
    config.l = 8;
    config.d = 4;
    config.l_sel = 16;
    config.n = 4;
    config.w = 20;
    return config;
}

StepCase case_of(const NsaConfig& config, DType dtype, std::int64_t longest = 200) {
    return {.config = config,
            .dtype = dtype,
            .page_tokens = config.l_sel * 2,
            .positions = parity::edge_positions(config, longest)};
}

cuda::DecodeShape shape_of(const PagedCache& cache) {
    const bool bf16 = cache.sel().k.scalar_type() == at::kBFloat16;
    return decode_shape({.config = cache.config(),
                         .dtype = bf16 ? DType::kBf16 : DType::kFp16,
                         .page_tokens = cache.size().page_tokens,
                         .max_tokens = cache.size().max_tokens},
                        cache.size().batch);
}

// Launches the step and runs it in the order of `seed`.
std::vector<emulator::Finished> run_emulated(const cuda::DecodePlan& plan, std::uint64_t seed,
                                             const PagedStepInputs& in, const PagedCache& cache,
                                             const PagedStepOutputs& out) {
    const cuda::DecodeShape shape = shape_of(cache);
    EXPECT_EQ(cuda::decode_unsupported(shape), std::nullopt);
    const auto bytes = static_cast<std::int64_t>(cuda::layout_workspace(shape, plan).bytes);
    const at::Tensor workspace = at::full({bytes}, 0xFF, at::kByte);  // NaN
    const cuda::DecodeParams params = decode_params(shape, in, cache, out, workspace);
    EXPECT_EQ(cuda::launch_decode(params, plan, nullptr), cudaSuccess);
    return emulator::finish(seed);
}

// As on sm_90, and as on sm_80: neither clusters nor dependent launch.
constexpr cuda::DecodePlan kSm90{.splits = 2, .cluster = 4, .dependent_launch = true};
constexpr cuda::DecodePlan kSm80{.splits = 2, .cluster = 1, .dependent_launch = false};

// The judge runs the step twice: in the order of `seed` and in that of the next one. Both must agree bit for
// bit.
void check(const StepCase& c, const cuda::DecodePlan& plan, std::uint64_t seed) {
    SCOPED_TRACE("splits " + std::to_string(plan.splits) + ", cluster " + std::to_string(plan.cluster) +
                 ", seed " + std::to_string(seed));
    StepProblem problem{c};
    const auto step = [&](const PagedStepInputs& in, const PagedCache& cache, const PagedStepOutputs& out) {
        for (const emulator::Finished& launch : run_emulated(plan, seed++, in, cache, out))
            EXPECT_EQ(launch.counters.ldmatrix_conflicts, 0U) << launch.kernel;
    };
    expect_clean(c, parity::check_step(c, problem, at::kCPU, step));
}

class EmulatedDecodeGrid : public testing::TestWithParam<std::tuple<DType, Widths, cuda::DecodePlan>> {};

TEST_P(EmulatedDecodeGrid, ragged_lengths_equal_the_oracle) {
    const auto& [dtype, widths, plan] = GetParam();
    for (const std::int64_t per_group : {1, 2, 4, 8, 16}) {
        if (!plan.dependent_launch && per_group != 1 && per_group != 16) continue;
        SCOPED_TRACE(std::to_string(per_group) + " heads in a group");
        check(case_of(small_config(widths.dk, widths.dv, per_group), dtype), plan, /*seed=*/1);
    }
}

std::string grid_name(const testing::TestParamInfo<EmulatedDecodeGrid::ParamType>& info) {
    const auto& [dtype, widths, plan] = info.param;
    return test::name_of(dtype, widths) + (plan.dependent_launch ? "_sm90" : "_sm80");
}

INSTANTIATE_TEST_SUITE_P(AllShapes, EmulatedDecodeGrid,
                         testing::Combine(testing::ValuesIn(kTypes), testing::ValuesIn(kWidths),
                                          testing::Values(kSm90, kSm80)),
                         grid_name);

TEST(EmulatedDecode, any_order_of_threads_gives_the_same_bits) {
    const StepCase c = case_of(small_config(32, 32, 8), DType::kBf16, 90);
    for (const cuda::DecodePlan& plan : {kSm90, kSm80})
        for (std::uint64_t seed = 0; seed < 12; seed += 2)
            check(c, plan, seed);
}

TEST(EmulatedDecode, every_number_of_splits_and_every_cluster_equals_the_oracle) {
    const StepCase c = case_of(small_config(64, 64, 2), DType::kFp16, 300);
    for (const int splits : {1, 3, 5, 16})
        check(c, {.splits = splits, .cluster = 1, .dependent_launch = false}, 2);
    for (const int cluster : {1, 2, 8})
        check(c, {.splits = 4, .cluster = cluster, .dependent_launch = true}, 4);
}

TEST(EmulatedDecode, unusual_values_equal_the_oracle) {
    for (const DType dtype : {DType::kBf16, DType::kFp16}) {
        for (const StepData data : {StepData::kTiny, StepData::kHuge, StepData::kEqualKeys}) {
            SCOPED_TRACE(std::string{name(dtype)} + ", data " + std::to_string(static_cast<int>(data)));
            StepCase c = case_of(small_config(64, 64, 16), dtype);
            c.data = data;
            check(c, kSm90, 3);
        }
    }
}

TEST(EmulatedDecode, pages_of_every_size_give_the_same_step) {
    for (const std::int64_t blocks : {1, 3, 5, 16}) {
        StepCase c = case_of(small_config(32, 32, 4), DType::kBf16);
        c.page_tokens = blocks * c.config.l_sel;
        check(c, kSm90, 5);
    }
}

TEST(EmulatedDecode, other_counts_of_blocks_and_windows_equal_the_oracle) {
    struct Change {
        std::int64_t n, n_initial, n_local, w;
    };
    for (const Change change : {Change{1, 0, 1, 1}, Change{3, 1, 2, 15}, Change{8, 2, 3, 16},
                                Change{32, 1, 2, 17}, Change{4, 0, 4, 64}, Change{5, 3, 1, 2048}}) {
        SCOPED_TRACE("n " + std::to_string(change.n) + ", w " + std::to_string(change.w));
        NsaConfig config = small_config(32, 32, 4);
        config.n = change.n;
        config.n_initial = change.n_initial;
        config.n_local = change.n_local;
        config.w = change.w;
        const StepCase c = case_of(config, DType::kBf16, 260);
        check(c, kSm80, 6);
        check(c, kSm90, 6);
    }
}

TEST(EmulatedDecode, blocks_without_overlap_equal_the_oracle) {
    NsaConfig config = small_config(32, 32, 4);
    config.l = config.d;
    check(case_of(config, DType::kFp16), kSm90, 7);
    check(case_of(config, DType::kFp16), kSm80, 7);
}

// More blocks than a thread block ranks at a time, and as many as it takes at all.
TEST(EmulatedDecode, long_sequences_equal_the_oracle) {
    StepCase c = case_of(small_config(32, 32, 2), DType::kBf16);
    c.page_tokens = 1024;
    c.positions = {5000, -1, 2047, 2048, 2064};
    check(c, kSm80, 8);
    check(c, kSm90, 8);
    c.positions = {2900};
    for (std::uint64_t seed = 0; seed < 12; seed += 2)
        check(c, kSm80, seed);
    c.positions = {2048 * 16 - 1};
    check(c, kSm80, 9);
}

TEST(EmulatedDecode, the_default_configuration_equals_the_oracle) {
    NsaConfig config;
    config.heads = 32;
    config.dk = config.dv = 128;
    for (const std::int64_t page : {192, 320}) {
        StepCase c{
            .config = config, .dtype = DType::kBf16, .page_tokens = page, .positions = {1300, 31, 700}};
        check(c, kSm90, 10);
    }
}

TEST(EmulatedDecode, steps_of_growing_sequences_equal_the_oracle_at_each_step) {
    StepCase c = case_of(small_config(32, 32, 4), DType::kBf16);
    c.positions = {0, 40, 0, -1};
    StepProblem problem{c};
    problem.cache = PagedCache{
        c.config, {.batch = 4, .max_tokens = 110, .page_tokens = 32, .pages = 12}, problem.in.q.options()};
    for (const std::int64_t b : {0, 2}) {
        problem.cache.reserve(b, 110);
        problem.cache.position().select(0, b).fill_(0);
    }
    c.positions[1] = -1;
    for (std::uint64_t t = 0; t < 50; ++t) {
        SCOPED_TRACE(t);
        const auto step = [&, seed = 2 * t](const PagedStepInputs& in, const PagedCache& cache,
                                            const PagedStepOutputs& out) mutable {
            (void)run_emulated(t % 2 == 0 ? kSm90 : kSm80, seed++, in, cache, out);
        };
        expect_clean(c, parity::check_step(c, problem, at::kCPU, step));
        problem.cache.advance();
        for (std::int64_t& position : c.positions)
            position += position >= 0 ? 1 : 0;
        for (const at::Tensor& x : {problem.in.q, problem.in.raw.k, problem.in.raw.v, problem.in.sel.k,
                                    problem.in.sel.v, problem.in.win.k, problem.in.win.v})
            x.normal_();
    }
}

// The second sequence's step is a fault: its output is NaN, and of the cache it touches nothing.
void expect_no_step(const StepCase& c, PagedCache& cache, const PagedStepInputs& in) {
    for (const cuda::DecodePlan& plan : {kSm90, kSm80}) {
        const PagedCache before = cache.copy_to(at::kCPU);
        const PagedStepOutputs out{.out = at::zeros({2, c.config.heads, c.config.dv}, at::kBFloat16),
                                   .blocks = at::zeros({2, 2, c.config.n}, at::kInt),
                                   .reads = at::zeros({2, 2, 3}, at::kInt)};
        (void)run_emulated(plan, 3, in, cache, out);
        EXPECT_FALSE(out.out[0].isnan().any().item<bool>());
        EXPECT_TRUE(out.out[1].isnan().all().item<bool>());
        EXPECT_TRUE(out.blocks[1].eq(-1).all().item<bool>());
        EXPECT_TRUE(out.reads[1].eq(0).all().item<bool>());
        const auto of_second = [&](const PagedCache& from) {
            return from.gather(from.sel(), 1, 64).k.view(at::kShort).clone();
        };
        EXPECT_TRUE(at::equal(of_second(before), of_second(cache)));
        EXPECT_TRUE(at::equal(before.raw().k[1].view(at::kShort), cache.raw().k[1].view(at::kShort)));
    }
}

TEST(EmulatedDecode, a_position_beyond_the_cache_gives_nan_and_touches_nothing) {
    StepCase c = case_of(small_config(32, 32, 4), DType::kBf16);
    c.positions = {40, 63};  // of 64
    StepProblem problem{c};
    problem.cache.position().select(0, 1).fill_(64);
    expect_no_step(c, problem.cache, problem.in);
}

// Page -1 would lie ahead of the pool.
TEST(EmulatedDecode, a_position_whose_page_is_not_reserved_gives_nan_and_touches_nothing) {
    StepCase c = case_of(small_config(32, 32, 4), DType::kBf16);
    c.positions = {80, 63};  // pages of 32 tokens
    StepProblem problem{c};
    problem.cache.position().select(0, 0).fill_(70);  // the cache ends behind 80
    const PagedStepOutputs out{
        .out = at::zeros({2, c.config.heads, c.config.dv}, at::kBFloat16), .blocks = {}, .reads = {}};
    (void)run_emulated(kSm90, 3, problem.in, problem.cache, out);  // tokens 70 and 63
    problem.cache.advance();
    EXPECT_EQ(problem.cache.position()[1].item<int>(), 64);
    EXPECT_EQ(problem.cache.page_table()[1][2].item<int>(), -1);
    expect_no_step(c, problem.cache, problem.in);
    problem.cache.reserve(1, 65);
    (void)run_emulated(kSm90, 3, problem.in, problem.cache, out);
    EXPECT_FALSE(out.out.isnan().any().item<bool>()) << "a step, once it has its page";
}

TEST(EmulatedDecode, parts_that_are_timed_alone_run_alone) {
    const StepCase c = case_of(small_config(32, 32, 4), DType::kBf16);
    StepProblem problem{c};
    const cuda::DecodeShape shape = shape_of(problem.cache);
    const auto batch = std::ssize(c.positions);
    const PagedStepOutputs out{
        .out = at::zeros({batch, c.config.heads, c.config.dv}, at::kBFloat16), .blocks = {}, .reads = {}};
    const at::Tensor workspace =
        at::zeros({static_cast<std::int64_t>(cuda::layout_workspace(shape, kSm90).bytes)}, at::kByte);
    const cuda::DecodeParams params = decode_params(shape, problem.in, problem.cache, out, workspace);
    for (const cuda::DecodePart part :
         {cuda::DecodePart::kCompressed, cuda::DecodePart::kSelected, cuda::DecodePart::kSliding}) {
        EXPECT_EQ(cuda::launch_decode(params, kSm90, nullptr, part), cudaSuccess);
        EXPECT_EQ(emulator::finish(2).size(), 1U);
        EXPECT_FALSE(out.out.isnan().any().item<bool>());
    }
}

TEST(EmulatedDecode, tensors_that_do_not_fit_are_refused_by_name) {
    const StepCase c = case_of(small_config(32, 32, 4), DType::kBf16);
    StepProblem problem{c};
    const auto batch = std::ssize(c.positions);
    PagedStepOutputs out{
        .out = at::zeros({batch, c.config.heads, c.config.dv}, at::kBFloat16), .blocks = {}, .reads = {}};
    const at::Tensor workspace = at::zeros({1}, at::kByte);
    const auto refusal = [&](const PagedStepInputs& in, const cuda::DecodeShape& shape) {
        try {
            (void)decode_params(shape, in, problem.cache, out, workspace);
        } catch (const InputError& error) {
            return std::string{error.what()};
        }
        return std::string{"taken"};
    };
    const cuda::DecodeShape shape = shape_of(problem.cache);
    EXPECT_EQ(refusal(problem.in, shape), "taken");
    PagedStepInputs in = problem.in;
    in.gates = in.gates.to(at::kFloat);
    EXPECT_THAT(refusal(in, shape), testing::HasSubstr("gates must be a contiguous tensor"));
    const auto shifted = [](const at::Tensor& x) {  // by 2 bytes
        return at::zeros({x.numel() + 1}, x.options()).narrow(0, 1, x.numel()).view(x.sizes());
    };
    for (at::Tensor PagedStepInputs::*tensor : {&PagedStepInputs::q, &PagedStepInputs::gates}) {
        PagedStepInputs moved = problem.in;
        moved.*tensor = shifted(problem.in.*tensor);
        EXPECT_THAT(refusal(moved, shape), testing::HasSubstr("must begin at a multiple of 16 bytes"));
    }
    in = problem.in;
    in.sel.v = shifted(in.sel.v);
    EXPECT_THAT(refusal(in, shape), testing::HasSubstr("the selected branch's row must begin"));
    cuda::DecodeShape other = shape;
    other.dtype = cuda::HalfType::kFp16;
    EXPECT_THAT(refusal(problem.in, other), testing::HasSubstr("the cache's raw rows must be"));
}

}  // namespace
}  // namespace nsa::core
