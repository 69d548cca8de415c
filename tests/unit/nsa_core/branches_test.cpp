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
    EXPECT_THROW((void)compress_mean({.k = in.k, .v = in.v.narrow(2, 0, 9)}, c.config, {}), InputError);
    EXPECT_THROW((void)compress_mean({.k = in.k, .v = in.v.to(at::kMeta)}, c.config, {}), InputError);
    EXPECT_THROW((void)compress_mean({.k = in.k[0], .v = in.v[0]}, c.config, {.route = Route::kCuda}),
                 InputError);
}

// On which device a tensor lies is told by one that has no memory at all.
struct Gated {
    NsaConfig config = grid()[3].config;
    Inputs in = random_inputs(grid()[3], at::kFloat);
    at::Tensor gates = at::ones({in.q.size(0), in.q.size(1), in.q.size(2), 3});
    at::Tensor blocks = at::zeros({in.q.size(0), in.k.size(1), in.q.size(2), 1}, at::kLong);
    BranchInputs all = {.q = in.q,
                        .cmp = compress_mean({.k = in.k, .v = in.v}, config, {}),
                        .sel = {.k = in.k, .v = in.v},
                        .win = {.k = in.k, .v = in.v},
                        .gates = gates};

    [[nodiscard]] std::string refusal() const {
        std::string reason;
        for (const Route route : {Route::kReference, Route::kCuda}) {
            const Execution how{.route = route};
            try {
                (void)gated_attention(all, config, {.cmp = how, .sel = how, .win = how}, blocks);
                return "accepted";
            } catch (const InputError& error) {
                EXPECT_TRUE(reason.empty() || reason == error.what());
                reason = error.what();
            }
        }
        return reason;
    }
};

TEST(GatedAttention, branches_that_differ_from_one_another_are_refused_with_both) {
    using testing::HasSubstr;
    Gated fewer;
    fewer.all.win = {.k = fewer.in.k.narrow(1, 0, 1), .v = fewer.in.v.narrow(1, 0, 1)};
    EXPECT_THAT(fewer.refusal(), HasSubstr("the sliding one has 1 and "));
    Gated wider;
    wider.all.cmp.v = at::cat({wider.all.cmp.v, wider.all.cmp.v}, 3);
    EXPECT_THAT(wider.refusal(), HasSubstr("the compressed one has 2 and "));
    Gated elsewhere;
    elsewhere.all.gates = elsewhere.gates.to(at::kMeta);
    EXPECT_THAT(elsewhere.refusal(), HasSubstr("on cpu for q"));
}

TEST(GatedAttention, blocks_that_do_not_fit_are_refused_with_their_shape) {
    using testing::HasSubstr;
    Gated given;
    const at::Tensor blocks = given.blocks;
    const auto refusal = [&](const at::Tensor& wrong) {
        given.blocks = wrong;
        return given.refusal();
    };
    EXPECT_THAT(refusal(blocks.to(at::kInt)), HasSubstr("got [1, 2, 83, 1] of Int"));
    EXPECT_THAT(refusal(blocks.narrow(2, 0, 82)), HasSubstr("got [1, 2, 82, 1]"));
    EXPECT_THAT(refusal(blocks.narrow(1, 0, 1)), HasSubstr("got [1, 1, 83, 1]"));
    EXPECT_THAT(refusal(blocks.repeat({1, 1, 1, given.config.n + 1})), HasSubstr("1 to n"));
    EXPECT_THAT(refusal(blocks.to(at::kMeta)), HasSubstr("of Long on meta"));
}

TEST(GatedAttention, numbers_that_are_no_block_of_the_prefix_stand_for_none) {
    const Gated given;
    const Case& c = grid()[3];
    const at::Tensor blocks = select_blocks(
        block_importance(given.in.q, given.all.cmp.k, 0, block_count(c.length, c.config), c.config), 0,
        c.config);
    const auto attend = [&](const at::Tensor& chosen) {
        return selected_attention(given.in.q, given.in.k, given.in.v, chosen, c.config, {});
    };
    const at::Tensor outside = blocks.masked_fill(blocks.lt(0), std::int64_t{1} << 40);
    EXPECT_TRUE(blocks.lt(0).any().item<bool>());
    EXPECT_TRUE(at::equal(attend(outside), attend(blocks)));
}

TEST(PackedAttention, where_the_sequences_begin_must_be_known_on_the_device_of_the_rows) {
    const NsaConfig c;
    const auto rows = [&] {
        return KeysValues{at::zeros({9, c.groups, c.dk}), at::zeros({9, c.groups, c.dv})};
    };
    const PackedInputs in{.q = at::zeros({9, c.heads, c.dk}),
                          .raw = rows(),
                          .sel = rows(),
                          .win = rows(),
                          .gates = at::zeros({9, c.heads, 3}),
                          .cu_tokens = at::zeros({2}, at::TensorOptions{at::kInt}.device(at::kMeta)),
                          .longest = 9};
    EXPECT_THAT([&] { (void)packed_attention(in, c); },
                testing::ThrowsMessage<InputError>(testing::HasSubstr("cu_tokens must be on cpu")));
}

}  // namespace
}  // namespace nsa::core
