#include "nsa_core/needle/needle_rows.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace nsa::core::needle {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(Needle, LiesBetweenTheFirstTokenAndTheQuerysOwn) {
    EXPECT_EQ(position_at(0, 4096), 0);
    EXPECT_EQ(position_at(50, 4096), 2048);
    EXPECT_EQ(position_at(100, 4096), 4095);
    EXPECT_EQ(position_at(100, 2), 1);
}

TEST(NeedleRow, CountsGroupsForHitsAndHeadsForValues) {
    const Row row{
        .trials = {{.hits = {true, false}, .chance_hits = {false, false}, .value_errors = {0.01, 0.9, 0, 0}},
                   {.hits = {true, true}, .chance_hits = {true, false}, .value_errors = {0, 0, 0, 0.03}}}};
    EXPECT_EQ(row.hit_rate(), 0.75);
    EXPECT_EQ(row.chance_hit_rate(), 0.25);
    EXPECT_EQ(row.accuracy(0.02), 0.75);
    EXPECT_EQ(row.worst_error(row.trials[0]), 0.9);
}

TEST(NeedleRow, AnOutputThatIsNotANumberIsAMiss) {
    const Row row{.trials = {{.hits = {true}, .chance_hits = {false}, .value_errors = {0, kNan, 0.5}}}};
    EXPECT_NEAR(row.accuracy(0.02), 1.0 / 3, 1e-12);
    EXPECT_TRUE(std::isnan(row.worst_error(row.trials[0])));
}

// Zero needles are no rate of any kind, so that no threshold holds.
TEST(NeedleRow, WithoutTrialsThereIsNoRate) {
    EXPECT_TRUE(std::isnan(Row{}.hit_rate()));
    EXPECT_TRUE(std::isnan(Row{}.accuracy(1)));
}

}  // namespace
}  // namespace nsa::core::needle
