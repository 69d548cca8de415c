// The chooser of decode steps over a paged cache, and the plan of the kernels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "nsa_core/cuda/decode/plan.hpp"
#include "nsa_core/cuda/divisor.hpp"
#include "nsa_core/routes.hpp"

namespace nsa::core {
namespace {

using testing::HasSubstr;

// A step that the kernels run, on an H200.
StepRequest fitting() {
    StepRequest request{.dtype = DType::kBf16, .max_tokens = 65536, .cuda = true, .sm = 90, .kernels = true};
    request.config.heads = 64;
    request.config.groups = 4;
    request.config.dk = request.config.dv = 128;
    return request;
}

template <class Change>
std::string cuda_reason(const Change& change) {
    StepRequest request = fitting();
    change(request);
    return unsupported_reason(Route::kCuda, request).value_or("supported");
}

TEST(StepRoutes, cuda_says_what_it_cannot_run) {
    EXPECT_EQ(cuda_reason([](StepRequest&) {}), "supported");
    EXPECT_THAT(cuda_reason([](StepRequest& r) { r.kernels = false; }), HasSubstr("built without nvcc"));
    EXPECT_THAT(cuda_reason([](StepRequest& r) { r.cuda = false; }), HasSubstr("needs a CUDA device"));
    EXPECT_THAT(cuda_reason([](StepRequest& r) { r.sm = 75; }), HasSubstr("the device has 7.5"));
    EXPECT_THAT(cuda_reason([](StepRequest& r) { r.dtype = DType::kFp32; }),
                HasSubstr("the tensors are fp32"));
    EXPECT_THAT(cuda_reason([](StepRequest& r) { r.config.dv = 64; }), HasSubstr("128 and 64"));
    EXPECT_THAT(cuda_reason([](StepRequest& r) { r.config.groups = 2; }), HasSubstr("H = 64 with G = 2"));
    EXPECT_THAT(cuda_reason([](StepRequest& r) { r.page_tokens = 96; }), HasSubstr("these are of 96"));
    EXPECT_THAT(cuda_reason([](StepRequest& r) { r.config.l = 64; }), HasSubstr("l is 64"));
    EXPECT_EQ(cuda_reason([](StepRequest& r) { r.sm = 80, r.dtype = DType::kFp16; }), "supported");
    EXPECT_EQ(cuda_reason([](StepRequest& r) { r.config.dk = 192; }), "supported");
}

TEST(StepRoutes, sizes_beyond_32_bits_are_not_taken_for_small_ones) {
    constexpr std::int64_t kInt = std::numeric_limits<int>::max();
    EXPECT_THAT(cuda_reason([](StepRequest& r) { r.max_tokens = kInt; }),
                HasSubstr("2147483647 tokens are 33554432"));
    EXPECT_THAT(cuda_reason([](StepRequest& r) { r.max_tokens = kInt + 1; }), HasSubstr("in 32 bits"));
    EXPECT_EQ(cuda_reason([](StepRequest& r) { r.max_tokens = 2048 * 64; }), "supported");
    EXPECT_THAT(cuda_reason([](StepRequest& r) { r.max_tokens = 2048 * 64 + 1; }), HasSubstr("are 2049"));
    EXPECT_THAT(cuda_reason([](StepRequest& r) { r.page_tokens = (std::int64_t{1} << 32) + 64; }),
                HasSubstr("pages of a multiple"));
    EXPECT_THAT(cuda_reason([](StepRequest& r) { r.config.n = (std::int64_t{1} << 32) + 16; }),
                HasSubstr("1 to 32 selected blocks"));
    EXPECT_THAT(cuda_reason([](StepRequest& r) { r.config.d = r.config.l_sel = kInt; }),
                HasSubstr("selection blocks of 4 d tokens"));
    EXPECT_EQ(cuda_reason([](StepRequest& r) { r.config.w = std::int64_t{1} << 32; }), "supported");
}

TEST(StepRoutes, wide_heads_are_refused_where_a_thread_block_has_little_shared_memory) {
    for (const int sm : {86, 89, 120, 121}) {
        const auto reason = [&](std::int64_t width) {
            return cuda_reason([&](StepRequest& r) { r.sm = sm, r.config.dk = r.config.dv = width; });
        };
        EXPECT_THAT(reason(128), HasSubstr("compute capability " + std::to_string(sm / 10) + "."));
        EXPECT_EQ(reason(96), "supported");
    }
    for (const int sm : {80, 87, 90, 100, 103, 110})
        EXPECT_EQ(cuda_reason([&](StepRequest& r) { r.sm = sm; }), "supported");
}

TEST(StepRoutes, auto_is_cuda_where_it_fits_and_the_reference_elsewhere) {
    EXPECT_EQ(choose_route({}, fitting()).taken, Route::kCuda);
    EXPECT_EQ(choose_route({}, fitting()).reason, "");
    StepRequest cpu = fitting();
    cpu.cuda = false;
    EXPECT_EQ(choose_route({}, cpu).taken, Route::kReference);
    EXPECT_THAT(choose_route({}, cpu).reason, HasSubstr("CUDA device"));
    EXPECT_EQ(choose_route(Route::kReference, fitting()).taken, Route::kReference);
    EXPECT_EQ(choose_route(Route::kReference, fitting()).reason, "");
}

TEST(StepRoutes, routes_of_one_branch_have_no_paged_step_and_cuda_no_step_of_a_branch) {
    EXPECT_THAT(choose_route(Route::kSdpa, fitting()).reason, HasSubstr("sdpa has no decode step"));
    const RouteRequest branch{
        .branch = Branch::kSelected, .dtype = DType::kBf16, .cuda = true, .sm = 90, .kernels = true};
    EXPECT_THAT(unsupported_reason(Route::kCuda, branch).value_or(""),
                HasSubstr("a step of the selected branch by itself"));
}

cuda::DecodeShape shape(int batch, int max_tokens) {
    return {.batch = batch, .heads = 64, .groups = 4, .dk = 128, .dv = 128, .max_tokens = max_tokens};
}

TEST(DecodePlanTest, a_grid_has_so_many_sequences_at_most) {
    EXPECT_EQ(decode_unsupported(shape(65535, 100)), std::nullopt);
    EXPECT_THAT(decode_unsupported(shape(65536, 100)).value_or(""), HasSubstr("65536 and 4"));
}

TEST(DecodePlanTest, what_would_leave_32_bits_is_refused) {
    cuda::DecodeShape many = shape(65535, 100);
    many.heads = 512;
    many.groups = 32;
    EXPECT_THAT(decode_unsupported(many).value_or(""), HasSubstr("elements of q"));
    cuda::DecodeShape large = shape(1, std::numeric_limits<int>::max());
    large.l = large.d = 1 << 18;
    large.l_sel = large.page_tokens = 1 << 20;
    EXPECT_THAT(decode_unsupported(large).value_or(""), HasSubstr("up to 2^30 tokens"));
    large.max_tokens = 1 << 30;
    EXPECT_EQ(decode_unsupported(large), std::nullopt);
}

TEST(DecodePlanTest, division_by_multiplication_is_exact) {
    for (const int by : {1, 2, 3, 5, 7, 12, 48, 64, 192, 320, 641, 65537, (1 << 30) - 1, 1 << 30}) {
        SCOPED_TRACE(by);
        const cuda::Divisor divisor = cuda::make_divisor(by);
        // Around multiples of the divisor, where an inexact quotient would show first, up to the largest int.
        for (std::int64_t multiple = 0; multiple <= std::numeric_limits<int>::max();
             multiple = 2 * multiple + by) {
            for (const std::int64_t near : {multiple - 1, multiple, multiple + 1}) {
                if (near < 0 || near > std::numeric_limits<int>::max()) continue;
                const int x = static_cast<int>(near);
                ASSERT_EQ(divisor.quotient(x), x / by) << x;
                ASSERT_EQ(divisor.remainder(x), x % by) << x;
            }
        }
        constexpr int kLargest = std::numeric_limits<int>::max();
        for (int x : {kLargest, kLargest - kLargest % by, kLargest - kLargest % by - 1})
            ASSERT_EQ(divisor.quotient(x), x / by) << x;
    }
}

TEST(DecodePlanTest, is_within_the_limits_for_every_batch_and_length) {
    for (const int sm : {80, 90}) {
        for (const int batch : {1, 2, 7, 32, 64, 512}) {
            for (const int tokens : {1, 31, 32, 2048, 65536, 1 << 20}) {
                const cuda::DecodePlan plan =
                    plan_decode(shape(batch, tokens), {.sm = sm, .multiprocessors = 132});
                SCOPED_TRACE(std::to_string(sm) + " " + std::to_string(batch) + " " + std::to_string(tokens));
                EXPECT_GE(plan.splits, 1);
                EXPECT_GE(plan.cluster, 1);
                EXPECT_LE(plan.cluster, sm == 90 ? cuda::kMaxCluster : 1);
                EXPECT_EQ(plan.cluster & (plan.cluster - 1), 0);  // a power of two
            }
        }
    }
}

TEST(DecodePlanTest, parts_of_the_workspace_do_not_overlap) {
    const cuda::DecodeShape s = shape(3, 5000);
    const cuda::DecodePlan plan = plan_decode(s, {.sm = 90, .multiprocessors = 132});
    const cuda::DecodeWorkspace w = layout_workspace(s, plan);
    const std::size_t partials = 3U * 64U * static_cast<unsigned>(plan.splits);
    EXPECT_GE(w.max, w.out + partials * 128 * sizeof(float));
    EXPECT_GE(w.sum, w.max + partials * sizeof(float));
    const std::size_t ranked = 3U * 64U * static_cast<unsigned>(workspace_blocks(s)) * sizeof(float);
    EXPECT_GE(w.own, w.sum + partials * sizeof(float));
    EXPECT_GE(w.last, w.own + ranked);
    EXPECT_GE(w.bytes, w.last + ranked);
    EXPECT_GE(workspace_blocks(s), s.max_blocks());
    for (const std::size_t offset : {w.out, w.max, w.sum, w.own, w.last})
        EXPECT_EQ(offset % 256, 0U);
}

}  // namespace
}  // namespace nsa::core
