// What prefill-bench times: its inputs, and that its pieces are the whole.
#include "nsa_core/bench/prefill_pieces.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "nsa_core/parity/metrics.hpp"

namespace nsa::core::bench {
namespace {

at::Tensor normal(at::IntArrayRef shape) {
    at::Generator generator = parity::seeded_generator(7);
    return parity::random_normal(shape, generator, at::TensorOptions{at::kDouble});
}

// Mean over everything of x_t x_(t-lag).
double covariance(const at::Tensor& x, std::int64_t lag) {
    const std::int64_t rest = x.size(2) - lag;
    return (x.narrow(2, lag, rest) * x.narrow(2, 0, rest)).mean().item<double>();
}

TEST(CorrelatedQueries, KeepTheirVarianceAndForgetByATwentiethPerToken) {
    const at::Tensor x = correlated(normal({2, 4, 2048, 16}));
    EXPECT_NEAR(covariance(x, 0), 1, 0.05);
    EXPECT_NEAR(covariance(x, 1), 0.95, 0.05);
    EXPECT_NEAR(covariance(x, 10), std::pow(0.95, 10), 0.05);
    EXPECT_NEAR(covariance(x, 200), 0, 0.05);
    EXPECT_NEAR(x.select(2, 0).square().mean().item<double>(), 1, 0.5) << "the first token is no quieter";
}

// Two tokens of two groups, two blocks each.
TEST(UniqueBlocks, AreCountedOnceForTheTokensThatShareThem) {
    const auto ratio = [](std::vector<std::int64_t> blocks, std::int64_t tokens) {
        return unique_block_ratio(at::tensor(blocks, at::kLong).view({1, 2, 2, 2}), tokens);
    };
    EXPECT_EQ(ratio({0, 1, 0, 1, /**/ 2, 3, 2, 3}, 2), 0.5);
    EXPECT_EQ(ratio({0, 1, 2, 3, /**/ 0, 1, 2, 3}, 2), 1);
    EXPECT_EQ(ratio({0, 1, 0, 2, /**/ 0, 1, 0, 1}, 2), 5.0 / 8);
    EXPECT_EQ(ratio({0, -1, 0, 1, /**/ 0, -1, 0, 1}, 2), 4.0 / 6) << "-1 names no block";
    EXPECT_EQ(ratio({0, 1, 0, 1, /**/ 2, 3, 2, 3}, 1), 1);
}

struct Small {
    PrefillBenchOptions options;
    NsaConfig config;
    RoutesTaken routes;

    Small() {
        config.heads = 4;
        config.groups = 2;
        config.dk = config.dv = 8;
        config.dim = 16;
        config.l = config.l_sel = 8;
        config.d = 4;
        config.n = 3;
        config.w = 12;
    }
};

TEST(PrefillPieces, HaveAllPartsAndOnlySelectionLacksAGradient) {
    const Small small;
    const PrefillInputs in = random_inputs(small.options, small.config, 40, at::TensorOptions{at::kDouble});
    const std::vector<Piece> pieces = attention_pieces(in, small.config, small.routes);
    ASSERT_EQ(pieces.size(), kPrefillParts.size() - 1) << "all but the projection";
    for (const Piece& piece : pieces) {
        EXPECT_TRUE(piece.runs(Pass::kForward));
        EXPECT_EQ(piece.runs(Pass::kBackward), piece.metric != metric_of(PrefillPart::kSelect))
            << piece.metric;
        for (const at::Tensor& output : piece.forward()) {
            if (piece.runs(Pass::kBackward)) output.backward(at::ones_like(output));
        }
        for (const at::Tensor& leaf : piece.leaves)
            EXPECT_TRUE(leaf.grad().defined()) << piece.metric;
    }
}

TEST(PrefillPieces, EndWithWhatTheWholeComputes) {
    const Small small;
    const PrefillInputs in = random_inputs(small.options, small.config, 40, at::TensorOptions{at::kDouble});
    const at::Tensor whole = attend(in, small.config, small.routes);
    EXPECT_TRUE(
        at::allclose(attention_pieces(in, small.config, small.routes).back().forward().front(), whole));
}

TEST(PrefillPieces, OfTheModuleProjectAsItDoes) {
    const Small small;
    const auto options = at::TensorOptions{at::kDouble};
    const NSAAttention module{small.config, options, 3};
    const at::Tensor x = normal({2, 1, 40, 16}).squeeze(1).requires_grad_(true);
    const PrefillResult whole = module.prefill(x);
    const std::vector<Piece> pieces = module_pieces(module, x, whole.routes);
    EXPECT_TRUE(at::allclose(pieces.back().forward().front(), whole.out));
    EXPECT_TRUE(at::equal(selected_blocks(projected(module, x), small.config, whole.routes), whole.blocks));
}

}  // namespace
}  // namespace nsa::core::bench
