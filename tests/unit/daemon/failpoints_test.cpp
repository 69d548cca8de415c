// The table of failpoints is what the sources have: the laboratory must not miss a state edge.
#include "daemon/failpoints.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/failpoint_names.hpp"

namespace nsa::daemon {
namespace {

TEST(Failpoints, TheTableNamesEachPlaceOfTheSourcesOnce) {
    const std::vector<std::string> table(std::begin(kFailpoints), std::end(kFailpoints));
    EXPECT_EQ(table, test::failpoints_in(NSA_ORCHESTRATOR_SOURCES));
    EXPECT_EQ(std::adjacent_find(table.begin(), table.end()), table.end()) << "a name stands twice";
}

TEST(Failpoints, EveryNameSaysThatItIsTheDaemons) {
    for (const std::string_view name : kFailpoints)
        EXPECT_EQ(name.substr(0, 7), "daemon.") << name;
}

}  // namespace
}  // namespace nsa::daemon
