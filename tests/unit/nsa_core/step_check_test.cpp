// The judge of decode steps, judged: route reference passes it, and every kind of fault is seen.
#include "nsa_core/parity/step_check.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>

#include "nsa_core/parity/plan.hpp"

namespace nsa::core::parity {
namespace {

NsaConfig small_config() {
    NsaConfig config;
    config.heads = 8;
    config.groups = 2;
    config.dk = 16;
    config.dv = 8;
    config.l = 8;
    config.d = 4;
    config.l_sel = 16;
    config.n = 4;
    config.w = 20;
    return config;
}

StepCase small_case(DType dtype = DType::kBf16) {
    return {.config = small_config(),
            .dtype = dtype,
            .page_tokens = 32,
            .positions = edge_positions(small_config(), 200)};
}

StepReport check(const StepCase& c, const RunStep& run) {
    StepProblem problem{c};
    return check_step(c, problem, at::kCPU, run);
}

// Route reference with something done to it afterwards.
StepReport check_changed(const std::function<void(const PagedCache&, const PagedStepOutputs&)>& change) {
    return check(small_case(),
                 [&](const PagedStepInputs& in, const PagedCache& cache, const PagedStepOutputs& out) {
                     reference_paged_step(in, cache, out);
                     change(cache, out);
                 });
}

TEST(StepCheckTest, the_reference_route_is_clean_in_both_half_types_and_for_all_data) {
    for (const DType dtype : {DType::kBf16, DType::kFp16}) {
        for (const StepData data : {StepData::kNormal, StepData::kTiny, StepData::kHuge}) {
            SCOPED_TRACE(std::string{name(dtype)} + ", data " + std::to_string(static_cast<int>(data)));
            StepCase c = small_case(dtype);
            c.data = data;
            const StepReport report = check(c, reference_paged_step);
            EXPECT_TRUE(report.clean()) << report.bound_ratio;
            EXPECT_GT(report.bound_ratio, 0);
            EXPECT_GT(report.baseline_mae, 0);
        }
    }
}

TEST(StepCheckTest, ties_of_equal_keys_go_to_the_lower_index) {
    StepCase c = small_case();
    c.data = StepData::kEqualKeys;
    EXPECT_TRUE(check(c, reference_paged_step).clean());
}

TEST(StepCheckTest, blocks_without_overlap_are_clean_too) {
    StepCase c = small_case(DType::kFp16);
    c.config.l = c.config.d;
    EXPECT_TRUE(check(c, reference_paged_step).clean());
}

TEST(StepCheckTest, an_error_above_that_of_a_plain_implementation_is_seen) {
    const StepReport report =
        check_changed([](const PagedCache&, const PagedStepOutputs& out) { out.out[5][3][2] += 0.2; });
    EXPECT_GT(report.bound_ratio, 1);
    EXPECT_EQ(report.error.worst_index, (std::vector<std::int64_t>{5, 3, 2}));
}

TEST(StepCheckTest, a_window_that_is_one_token_too_long_is_seen) {
    const StepCase c = small_case();
    StepProblem problem{c};
    // The candidate runs with w + 1 over a cache of its own and hands its output on.
    NsaConfig wrong = c.config;
    ++wrong.w;
    StepCase wrong_case = c;
    wrong_case.config = wrong;
    const StepReport report =
        check_step(c, problem, at::kCPU,
                   [&](const PagedStepInputs& in, const PagedCache& cache, const PagedStepOutputs& out) {
                       const StepProblem theirs{wrong_case};
                       reference_paged_step(in, theirs.cache, out);
                       const at::Tensor scratch = at::empty_like(out.out);
                       reference_paged_step(in, cache, {.out = scratch, .blocks = {}, .reads = {}});
                   });
    EXPECT_GT(report.bound_ratio, 1);
    EXPECT_GT(report.reads_mismatches, 0);
    EXPECT_EQ(report.selection_faults, 0);
}

TEST(StepCheckTest, an_output_that_is_not_written_is_seen) {
    const StepReport report = check(
        small_case(), [](const PagedStepInputs& in, const PagedCache& cache, const PagedStepOutputs& out) {
            const at::Tensor elsewhere = at::empty_like(out.out);
            reference_paged_step(in, cache, {.out = elsewhere, .blocks = out.blocks, .reads = out.reads});
            out.out.narrow(1, 1, 7).copy_(elsewhere.narrow(1, 1, 7));
        });
    EXPECT_GT(report.error.nan_count, 0);
    EXPECT_FALSE(report.clean());
}

TEST(StepCheckTest, a_write_beside_an_output_is_seen) {
    const StepReport report = check_changed([](const PagedCache&, const PagedStepOutputs& out) {
        // The element behind the last, which is a guard's.
        at::Tensor beyond = out.out.as_strided({1}, {1}, out.out.storage_offset() + out.out.numel());
        beyond.fill_(1);
    });
    EXPECT_GT(report.canary_hits, 0);
    EXPECT_LE(report.bound_ratio, 1);
}

TEST(StepCheckTest, other_blocks_than_the_oracles_are_seen) {
    const StepReport report = check_changed([](const PagedCache&, const PagedStepOutputs& out) {
        const std::int64_t last = out.blocks.size(0) - 1;
        at::Tensor row = out.blocks[last][0];
        const int second = row[1].item<int>();
        row[1] = second + 1 < row[2].item<int>() ? second + 1 : second - 1;
    });
    EXPECT_EQ(report.selection_faults, 1);
}

TEST(StepCheckTest, keys_that_were_not_read_or_counted_are_seen) {
    const StepReport report =
        check_changed([](const PagedCache&, const PagedStepOutputs& out) { out.reads[2][1][0] += 1; });
    EXPECT_EQ(report.reads_mismatches, 1);
}

TEST(StepCheckTest, a_changed_row_of_the_cache_is_seen) {
    const StepReport report = check_changed(
        [](const PagedCache& cache, const PagedStepOutputs&) { cache.win().v[0][0][0][0] = 1.0; });
    EXPECT_EQ(report.cache_faults, 1);
}

TEST(StepCheckTest, a_compressed_row_that_is_not_the_mean_is_seen) {
    const StepCase c = small_case();
    const auto slot =
        std::ranges::find(c.positions, c.config.l - 1) - c.positions.begin();  // emits its first
    const StepReport report = check_changed([&](const PagedCache& cache, const PagedStepOutputs&) {
        const PagedCache::Place place = cache.place_of(cache.cmp(), slot, 0);
        cache.cmp().k[place.page].select(1, place.row).mul_(1.02);
    });
    EXPECT_EQ(report.compressed_faults, 1);
    EXPECT_EQ(report.cache_faults, 0);
}

TEST(StepCheckTest, an_idle_slot_with_an_output_is_seen) {
    const StepReport report = check_changed([](const PagedCache& cache, const PagedStepOutputs& out) {
        const at::Tensor idle = cache.position().lt(0);
        out.out.index_put_({idle}, at::ones({1}, out.out.options()));
    });
    EXPECT_EQ(report.idle_faults, 1);
    EXPECT_LE(report.bound_ratio, 1);
}

TEST(StepCheckTest, an_idle_slot_with_a_block_is_seen) {
    const StepReport report = check_changed([](const PagedCache& cache, const PagedStepOutputs& out) {
        const std::int64_t idle = cache.position().lt(0).nonzero()[0][0].item<std::int64_t>();
        out.blocks[idle][1][0] = 0;
    });
    EXPECT_EQ(report.idle_faults, 1);
    EXPECT_EQ(report.selection_faults, 0);
}

TEST(StepCheckTest, two_runs_that_differ_are_seen) {
    int run = 0;
    const StepReport report = check_changed([&](const PagedCache&, const PagedStepOutputs& out) {
        if (++run == 2) out.out[5][3][2] += 0.01;
    });
    EXPECT_EQ(report.rerun_differences, 1);
}

TEST(StepCheckTest, the_cache_after_a_step_serves_the_next_one) {
    StepCase c{.config = small_config(), .dtype = DType::kFp16, .page_tokens = 32, .positions = {0, 5}};
    StepProblem problem{c};
    problem.cache =
        PagedCache{c.config, {.batch = 2, .max_tokens = 40, .page_tokens = 32, .pages = 4}, at::kHalf};
    for (std::int64_t b = 0; b < 2; ++b) {
        problem.cache.reserve(b, 40);
        problem.cache.position().select(0, b).fill_(0);
    }
    c.positions = {0, 0};
    for (int t = 0; t < 30; ++t) {
        problem.in.q.normal_();
        problem.in.raw.k.normal_();
        problem.in.sel.k.normal_();
        EXPECT_TRUE(check_step(c, problem, at::kCPU, reference_paged_step).clean()) << t;
        problem.cache.advance();
        c.positions = {t + 1, t + 1};
    }
}

}  // namespace
}  // namespace nsa::core::parity
