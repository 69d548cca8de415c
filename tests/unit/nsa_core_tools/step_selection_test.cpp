#include "nsa_core/parity/step_selection.hpp"

#include <gtest/gtest.h>

namespace nsa::core::parity {
namespace {

const std::vector<double> kImportance{0.1, 0.5, 0.3, 0.3 * (1 + 1e-7), 0.05, 0.2};
const std::vector<std::int64_t> kExpected{0, 1, 3, 5};

Selection judge(const std::vector<std::int64_t>& chosen, double relative = 1e-6) {
    return judge_selection(kImportance, kExpected, chosen, relative);
}

TEST(StepSelection, TheSameSetIsEqual) {
    EXPECT_EQ(judge({0, 1, 3, 5}), Selection::kEqual);
    EXPECT_EQ(judge({0, 1, 3, 5, -1, -1}), Selection::kEqual);
}

TEST(StepSelection, ABlockThatIsAsImportantUpToRoundingIsATie) {
    EXPECT_EQ(judge({0, 1, 2, 5}), Selection::kTie);
    EXPECT_EQ(judge({0, 1, 2, 5}, 1e-8), Selection::kFault);
}

TEST(StepSelection, WithoutRoundingNothingIsATie) {
    EXPECT_EQ(judge_selection({1, 1, 1}, {0, 1}, {0, 2}, 0), Selection::kFault);
    EXPECT_EQ(judge_selection({1, 1, 1}, {0, 1}, {0, 1}, 0), Selection::kEqual);
}

TEST(StepSelection, ALessImportantBlockIsAFault) {
    EXPECT_EQ(judge({0, 1, 3, 4}), Selection::kFault);
    EXPECT_EQ(judge({1, 2, 3, 5}),
              Selection::kFault);  // 0.3 for the forced 0.1: its importance is not why it is there
}

TEST(StepSelection, BlocksTooSmallForFp32AreTied) {
    EXPECT_EQ(judge_selection({0.9, 1e-50, 1e-60}, {0, 1}, {0, 2}, 1e-6), Selection::kTie);
}

TEST(StepSelection, AListThatIsNotWellFormedIsAFault) {
    EXPECT_EQ(judge({0, 1, 3}), Selection::kFault);         // one is missing
    EXPECT_EQ(judge({0, 3, 1, 5}), Selection::kFault);      // not ascending
    EXPECT_EQ(judge({0, 1, 1, 3}), Selection::kFault);      // twice
    EXPECT_EQ(judge({0, 1, 3, 6}), Selection::kFault);      // no such block
    EXPECT_EQ(judge({0, 1, 3, 5, 4}), Selection::kFault);   // one too many
    EXPECT_EQ(judge({-7, -7, -7, -7}), Selection::kFault);  // not written
}

}  // namespace
}  // namespace nsa::core::parity
