// When the hunt for what a dead supervisor left is over.
#include "serve/orphans.hpp"

#include <gtest/gtest.h>

#include "support/run.hpp"

namespace nsa::serve {
namespace {

using posix::EnvironmentScan;

struct Hunt : testing::Test {
    std::vector<EnvironmentScan> looks;  // what is seen, one after the other; the last one for ever
    int looked = 0;
    std::vector<pid_t> killed;

    EnvironmentScan last() {
        boost::asio::io_context io;
        return test::run(io, hunt(
                                 [this] {
                                     const auto now = static_cast<std::size_t>(looked++);
                                     return looks[std::min(now, looks.size() - 1)];
                                 },
                                 [this](const std::vector<pid_t>& found) {
                                     killed.insert(killed.end(), found.begin(), found.end());
                                 }));
    }
};

TEST_F(Hunt, EndsAtOnceWhereNothingIsLeft) {
    looks = {{}};
    EXPECT_TRUE(last().nothing());
    EXPECT_EQ(looked, 1);
    EXPECT_TRUE(killed.empty());
}

TEST_F(Hunt, WaitsForAProcessAmidAnExecAndForWhatWasForkedBehindALook) {
    looks = {{{}, 1}, {{7}, 0}, {{8, 9}, 1}, {{9}, 0}, {}};
    EXPECT_TRUE(last().nothing());
    EXPECT_EQ(looked, 5);
    EXPECT_EQ(killed, (std::vector<pid_t>{7, 8, 9, 9}));
}

TEST_F(Hunt, EndsWithWhatDoesNotDieOrNeverShowsItsEnvironment) {
    looks = {{{7}, 2}};
    const EnvironmentScan left = last();
    EXPECT_EQ(left.found, std::vector<pid_t>{7});
    EXPECT_EQ(left.veiled, 2U);
    EXPECT_EQ(looked, kMostLooks);
}

}  // namespace
}  // namespace nsa::serve
