#include "nsa_core/tools/samples.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace nsa::core::tools {
namespace {

TEST(Samples, AreSummarisedByOrderNotByMean) {
    const Spread spread = spread_of({1000, 1, 2, 3, 4});
    EXPECT_EQ(spread.median, 3);
    EXPECT_EQ(spread.iqr, 2);
    EXPECT_EQ(spread.min, 1);
    EXPECT_EQ(spread.max, 1000);
    EXPECT_EQ(spread_of({1, 2}).median, 1.5);
    EXPECT_EQ(spread_of({7}).iqr, 0);
    EXPECT_THROW((void)spread_of({}), std::invalid_argument);
}

TEST(MedianInterval, IsMadeOfSamplesWhoseRanksTheBinomialGives) {
    std::vector<double> samples;
    for (int i = 1; i <= 100; ++i)
        samples.push_back(101 - i);
    const MedianInterval interval = median_interval(samples);
    EXPECT_EQ(interval.median, 50.5);
    EXPECT_EQ(interval.low, 40);  // 100/2 - 1.96 * 10/2 = 40.2
    EXPECT_EQ(interval.high, 61);
}

TEST(MedianInterval, OfFewSamplesIsAllOfThem) {
    EXPECT_EQ(median_interval({3, 1, 2}).low, 1);
    EXPECT_EQ(median_interval({3, 1, 2}).high, 3);
    EXPECT_EQ(median_interval({5}).low, 5);
    EXPECT_EQ(median_interval({5}).high, 5);
    EXPECT_THROW((void)median_interval({}), std::invalid_argument);
}

}  // namespace
}  // namespace nsa::core::tools
