// Gates as tensors, and memory as LibTorch's allocator counts it.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "nsa_core/gates/measure.hpp"
#include "nsa_core/tools/peak_memory.hpp"

namespace nsa::core {
namespace {

TEST(GateMeasure, EqualGatesHaveAllTheEntropyWhateverTheirHeight) {
    for (const double height : {0.05, 0.5, 1.0}) {
        const gates::Statistics s = gates::statistics_of(at::full({2, 4, 5, 3}, height));
        EXPECT_NEAR(s.entropy, 1, 1e-6);
        EXPECT_NEAR(s.mean[1], height, 1e-6);
        EXPECT_EQ(s.taken_all, 0);
        EXPECT_FALSE(s.collapsed());
    }
}

TEST(GateMeasure, CountsEachDecision) {
    // Three decisions: one branch alone, two alike, all shut.
    const at::Tensor gates =
        at::tensor({1.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0}, at::kDouble).view({3, 3});
    const gates::Statistics s = gates::statistics_of(gates);
    EXPECT_DOUBLE_EQ(s.mean[0], 0.5);
    EXPECT_DOUBLE_EQ(s.low[0], 1.0 / 3);
    EXPECT_DOUBLE_EQ(s.low[2], 1);
    EXPECT_DOUBLE_EQ(s.high[0], 1.0 / 3);
    EXPECT_NEAR(s.entropy, std::log(2) / std::log(3) / 3, 1e-12);
    EXPECT_DOUBLE_EQ(s.taken_all, 2.0 / 3) << "gates that are all shut use no branch";
    EXPECT_TRUE(s.collapsed());
}

TEST(GateMeasure, ANanIsACollapse) {
    EXPECT_TRUE(gates::statistics_of(at::full({4, 3}, std::numeric_limits<double>::quiet_NaN())).collapsed());
}

TEST(GateMeasure, HalfTypesAreSummedInFp32) {
    const gates::Statistics s = gates::statistics_of(at::full({100'000, 3}, 0.5, at::kHalf));
    EXPECT_NEAR(s.mean[0], 0.5, 1e-6);
}

TEST(PeakMemory, CountsWhatIsHeldAndTheMostOfIt) {
    const tools::PeakMemory memory{at::kCPU};
    constexpr std::int64_t kBytes = 1 << 20;
    const auto options = at::TensorOptions{at::kByte};
    const std::int64_t before = memory.held();
    at::Tensor kept = at::empty({kBytes}, options);
    EXPECT_EQ(memory.held() - before, kBytes);
    memory.restart();
    (void)at::empty({3 * kBytes}, options);
    EXPECT_EQ(memory.held() - before, kBytes) << "what was freed is held no more";
    EXPECT_EQ(memory.peak() - before, 4 * kBytes);
    memory.restart();
    EXPECT_EQ(memory.peak() - before, kBytes);
    kept.reset();
    EXPECT_EQ(memory.held(), before);
}

}  // namespace
}  // namespace nsa::core
