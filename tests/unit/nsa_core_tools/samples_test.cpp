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

}  // namespace
}  // namespace nsa::core::tools
