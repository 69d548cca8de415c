// What train-smoke, gate-health and memory-scaling conclude from numbers, without Torch.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "nsa_core/bench/memory_fit.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/gates/statistics.hpp"
#include "nsa_core/tools/route_check.hpp"
#include "nsa_core/train/step_log.hpp"

namespace nsa::core {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

gates::Statistics with(double entropy, double taken_all) {
    gates::Statistics statistics;
    statistics.entropy = entropy;
    statistics.taken_all = taken_all;
    return statistics;
}

TEST(GateStatistics, CollapseIsLittleEntropyOrOneBranchTakingMost) {
    EXPECT_FALSE(with(1, 0).collapsed());
    EXPECT_FALSE(with(0.2, 0.5).collapsed());
    EXPECT_TRUE(with(0.19, 0).collapsed());
    EXPECT_TRUE(with(1, 0.51).collapsed());
    EXPECT_TRUE(with(kNan, 0).collapsed());
    EXPECT_TRUE(with(1, kNan).collapsed());
}

TEST(GateStatistics, LayersAreAveraged) {
    gates::Statistics first = with(1, 0);
    first.mean = {0.2, 0.4, 0.6};
    gates::Statistics second = with(0.5, 0.5);
    second.mean = {0.4, 0.4, 0.0};
    const gates::Statistics both = gates::mean_of(std::vector{first, second});
    EXPECT_DOUBLE_EQ(both.mean[0], 0.3);
    EXPECT_DOUBLE_EQ(both.mean[2], 0.3);
    EXPECT_DOUBLE_EQ(both.entropy, 0.75);
    EXPECT_DOUBLE_EQ(both.taken_all, 0.25);
    EXPECT_THROW((void)gates::mean_of({}), std::invalid_argument);
}

TEST(MemoryFit, FindsTheExponentOfAPower) {
    using bench::MemoryPoint;
    const bench::MemoryFit square =
        bench::fit_memory(std::vector<MemoryPoint>{{400, 7 * 160000}, {100, 7 * 10000}, {200, 7 * 40000}});
    EXPECT_NEAR(square.exponent, 2, 1e-12);
    EXPECT_NEAR(square.exponent_last, 2, 1e-12);
    // A constant of 1000 bytes hides the growth of short sequences: the two longest see more of it.
    const bench::MemoryFit linear =
        bench::fit_memory(std::vector<MemoryPoint>{{100, 1100}, {1000, 2000}, {10000, 11000}});
    EXPECT_LT(linear.exponent, linear.exponent_last);
    EXPECT_NEAR(linear.exponent_last, std::log10(5.5), 1e-12);
}

TEST(MemoryFit, NeedsTwoLengthsAndBytes) {
    using Points = std::vector<bench::MemoryPoint>;
    EXPECT_THROW((void)bench::fit_memory(Points{}), std::invalid_argument);
    EXPECT_THROW((void)bench::fit_memory(Points{{8, 1}}), std::invalid_argument);
    EXPECT_THROW((void)bench::fit_memory(Points{{8, 1}, {8, 2}}), std::invalid_argument);
    EXPECT_THROW((void)bench::fit_memory(Points{{8, 1}, {16, 0}}), std::invalid_argument);
}

TEST(LossGap, IsAPartOfTheOtherLossAndNeverHidesNan) {
    EXPECT_DOUBLE_EQ(train::loss_gap(2.2, 2.0), 0.1 * (2.2 - 2.0) / 0.2);
    EXPECT_DOUBLE_EQ(train::loss_gap(2.0, 2.0), 0);
    EXPECT_TRUE(std::isnan(train::loss_gap(kNan, 2)));
    EXPECT_TRUE(std::isnan(train::loss_gap(2, kNan)));
    EXPECT_TRUE(std::isnan(train::loss_gap(2, std::numeric_limits<double>::infinity())));
    EXPECT_TRUE(std::isnan(train::loss_gap(2, 0)));
}

TEST(RouteCheck, SaysWhichBranchWouldFallBackAndWhy) {
    const tools::SequenceRequest cpu{.config = {}, .dtype = DType::kFp32, .seq = 128, .cuda = false, .sm = 0};
    EXPECT_EQ(tools::why_not(Route::kSdpa, cpu, {}), std::nullopt);
    EXPECT_EQ(tools::why_not(Route::kReference, cpu, {}), std::nullopt);
    EXPECT_THAT(tools::why_not(Route::kFa2Dense, cpu, {}),
                Optional(HasSubstr("route fa2_dense, branch compressed")));
    EXPECT_THAT(tools::why_not(Route::kCuda, cpu, {}), Optional(HasSubstr("route cuda")));
    const tools::SequenceRequest hopper{
        .config = {}, .dtype = DType::kBf16, .seq = 128, .cuda = true, .sm = 90};
    EXPECT_EQ(tools::why_not(Route::kFa2Dense, hopper, {}), std::nullopt)
        << "it has no selected branch, which is no fault";
    tools::SequenceRequest ours = hopper;
    ours.kernels = true;
    EXPECT_EQ(tools::why_not(Route::kCuda, ours, {}), std::nullopt);
    ours.decode = true;
    EXPECT_THAT(tools::why_not(Route::kCuda, ours, {}), Optional(HasSubstr("this is a step of")));
    RoutePolicy off;
    off.use_fa2_win = false;
    EXPECT_THROW((void)tools::why_not(Route::kFa2Dense, hopper, off), InputError);
}

}  // namespace
}  // namespace nsa::core
