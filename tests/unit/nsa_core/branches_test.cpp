// Every branch on every CPU route against the oracle, over the grid.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cases.hpp"
#include "nsa_core/attention.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/reference.hpp"
#include "nsa_core/routes/compressed_runs.hpp"

namespace nsa::core {
namespace {

using test::Case;
using test::grid;
using test::Inputs;
using test::max_abs;
using test::random_inputs;
using test::tolerance;

constexpr Route kCpuRoutes[] = {Route::kReference, Route::kSdpa};

// Calls check(case, inputs, type) for every case of the grid in fp64 and fp32.
template <class Check>
void over_the_grid(const Check& check) {
    for (const Case& c : grid()) {
        for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
            SCOPED_TRACE(c.name + ", " + c10::toString(type));
            check(c, random_inputs(c, type), type);
        }
    }
}

TEST(Branches, sliding_equals_the_oracle_on_every_cpu_route) {
    over_the_grid([](const Case& c, const Inputs& in, at::ScalarType type) {
        const at::Tensor truth = reference::sliding_attention(in.q, in.k, in.v, c.config.w, c.config.scale());
        for (const Route route : kCpuRoutes) {
            const at::Tensor out =
                sliding_attention(in.q, in.k, in.v, c.config.w, c.config.scale(), {.route = route});
            EXPECT_EQ(out.scalar_type(), type);
            EXPECT_LT(max_abs(out, truth), tolerance(type)) << name(route);
        }
    });
}

TEST(Branches, compression_equals_the_oracle) {
    over_the_grid([](const Case& c, const Inputs& in, at::ScalarType type) {
        const at::Tensor truth = reference::compress_mean(in.k, c.config.l, c.config.d);
        const at::Tensor out = compress_mean(in.k, c.config);
        ASSERT_EQ(out.sizes(), truth.sizes());
        EXPECT_LT(max_abs(out, truth), tolerance(type));
    });
}

TEST(Branches, compressed_equals_the_oracle_on_every_cpu_route) {
    over_the_grid([](const Case& c, const Inputs& in, at::ScalarType type) {
        const at::Tensor k = compress_mean(in.k, c.config);
        const at::Tensor v = compress_mean(in.v, c.config);
        const at::Tensor truth = reference::compressed_attention(in.q, k, v, c.config);
        for (const Route route : kCpuRoutes) {
            const at::Tensor out = compressed_attention(in.q, k, v, c.config, {.route = route});
            ASSERT_EQ(out.sizes(), truth.sizes());
            EXPECT_LT(max_abs(out, truth), tolerance(type)) << name(route);
        }
    });
}

// What the FA2 routes rely on, shown on the CPU: with d queries side by side as heads, compressed visibility
// is the square causal mask.
TEST(Branches, compressed_runs_under_a_square_causal_mask_equal_the_oracle) {
    over_the_grid([](const Case& c, const Inputs& in, at::ScalarType type) {
        if (c.length < c.config.l) return;  // no compressed token
        const at::Tensor k = compress_mean(in.k, c.config);
        const at::Tensor v = compress_mean(in.v, c.config);
        const at::Tensor rows = runs_as_heads(in.q, k.size(2), c.config);
        ASSERT_EQ(rows.size(1), c.config.heads * c.config.d);
        ASSERT_EQ(rows.size(2), k.size(2));
        const at::Tensor out =
            heads_as_runs(full_attention(rows, k, v, c.config.scale(), {}), c.length, c.config);
        const std::int64_t blind = c.config.l - 1;
        const at::Tensor truth = reference::compressed_attention(in.q, k, v, c.config);
        EXPECT_LT(max_abs(out, truth.narrow(2, blind, c.length - blind)), tolerance(type));
    });
}

TEST(Branches, selected_equals_the_oracle_on_every_cpu_route) {
    over_the_grid([](const Case& c, const Inputs& in, at::ScalarType type) {
        const at::Tensor k_cmp = compress_mean(in.k, c.config);
        const at::Tensor blocks =
            reference::select_blocks(reference::block_importance(in.q, k_cmp, c.config), c.config);
        const at::Tensor truth = reference::selected_attention(in.q, in.k, in.v, blocks, c.config);
        for (const Route route : kCpuRoutes) {
            const at::Tensor out = selected_attention(in.q, in.k, in.v, blocks, c.config, {.route = route});
            EXPECT_LT(max_abs(out, truth), tolerance(type)) << name(route);
        }
    });
}

TEST(Branches, half_types_are_as_good_as_their_rounding) {
    const Case& c = grid()[3];
    for (const at::ScalarType type : {at::kHalf, at::kBFloat16}) {
        SCOPED_TRACE(c10::toString(type));
        const Inputs in = random_inputs(c, type);
        const at::Tensor k = compress_mean(in.k, c.config);
        const at::Tensor v = compress_mean(in.v, c.config);
        const at::Tensor sliding =
            reference::sliding_attention(in.q, in.k, in.v, c.config.w, c.config.scale());
        const at::Tensor compressed = reference::compressed_attention(in.q, k, v, c.config);
        for (const Route route : kCpuRoutes) {
            const Execution how{.route = route};
            EXPECT_LT(
                max_abs(sliding_attention(in.q, in.k, in.v, c.config.w, c.config.scale(), how), sliding),
                tolerance(type));
            EXPECT_LT(max_abs(compressed_attention(in.q, k, v, c.config, how), compressed), tolerance(type));
        }
    }
}

// The means of a half type are rounded once: adding up in fp16 would lose bits at every step.
TEST(Branches, compression_of_a_half_type_is_rounded_once) {
    NsaConfig c;
    const at::Tensor rows = test::random({1, 1, 100, 16}, 5, at::kHalf);
    EXPECT_TRUE(at::allclose(compress_mean(rows, c).to(at::kDouble), reference::compress_mean(rows, c.l, c.d),
                             /*rtol=*/4.9e-4, /*atol=*/1e-6));
}

// Long enough that the queries are worked off in several chunks.
TEST(Branches, chunks_of_queries_join_without_a_seam) {
    Case c{.name = "long", .batch = 1, .length = 750, .config = grid()[0].config};
    c.config.heads = 32;
    c.config.dk = 4;
    c.config.dv = 4;
    c.config.l = c.config.d = 2;
    c.config.w = 400;
    c.config.n = 20;
    const Inputs in = random_inputs(c, at::kFloat);
    const at::Tensor k_cmp = compress_mean(in.k, c.config);
    const at::Tensor v_cmp = compress_mean(in.v, c.config);
    const at::Tensor blocks = select_blocks(
        block_importance(in.q, k_cmp, 0, block_count(c.length, c.config), c.config), 0, c.config);
    const Execution how{.route = Route::kReference};
    EXPECT_LT(max_abs(sliding_attention(in.q, in.k, in.v, c.config.w, c.config.scale(), how),
                      reference::sliding_attention(in.q, in.k, in.v, c.config.w, c.config.scale())),
              tolerance(at::kFloat));
    EXPECT_LT(max_abs(compressed_attention(in.q, k_cmp, v_cmp, c.config, how),
                      reference::compressed_attention(in.q, k_cmp, v_cmp, c.config)),
              tolerance(at::kFloat));
    EXPECT_LT(max_abs(selected_attention(in.q, in.k, in.v, blocks, c.config, how),
                      reference::selected_attention(in.q, in.k, in.v, blocks, c.config)),
              tolerance(at::kFloat));
}

TEST(Branches, inputs_that_do_not_fit_are_refused_with_their_shapes) {
    const Case& c = grid()[3];
    const Inputs in = random_inputs(c, at::kFloat);
    const auto refusal = [&](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             Route route) -> std::string {
        try {
            (void)sliding_attention(q, k, v, c.config.w, c.config.scale(), {.route = route});
        } catch (const InputError& error) {
            return error.what();
        }
        return "accepted";
    };
    using testing::HasSubstr;
    EXPECT_THAT(refusal(in.q.select(0, 0), in.k, in.v, Route::kSdpa), HasSubstr("4 dimensions, not 3"));
    EXPECT_THAT(refusal(in.q, in.k.narrow(3, 0, 4), in.v, Route::kSdpa),
                HasSubstr("do not agree: [1, 4, 83, 8], [1, 2, 83, 4]"));
    EXPECT_THAT(refusal(in.q.narrow(1, 0, 3), in.k, in.v, Route::kSdpa),
                HasSubstr("must divide the number of heads, 3"));
    EXPECT_THAT(refusal(in.q, in.k, in.v.to(at::kDouble), Route::kSdpa), HasSubstr("one dtype"));
    EXPECT_THAT(refusal(in.q.narrow(2, 0, 9), in.k, in.v, Route::kSdpa),
                HasSubstr("as many queries as keys"));
    EXPECT_THAT(refusal(in.q, in.k, in.v, Route::kFa2Dense), HasSubstr("needs a CUDA device"));
    EXPECT_THROW((void)compressed_attention(in.q, in.k, in.v, c.config, {}), InputError)
        << "83 is not 19 tokens";
}

}  // namespace
}  // namespace nsa::core
