// The table of failpoints is what the sources have: the laboratory must not miss a state edge.
#include "worker_lab/failpoints.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/failpoint_names.hpp"

namespace nsa::worker_lab {
namespace {

TEST(WorkerFailpoints, TheTableNamesEachPlaceOfTheSourcesOnce) {
    const std::vector<std::string> table(std::begin(kFailpoints), std::end(kFailpoints));
    EXPECT_EQ(table, test::failpoints_in(NSA_WORKER_SOURCES));
    EXPECT_EQ(std::adjacent_find(table.begin(), table.end()), table.end()) << "a name stands twice";
}

TEST(WorkerFailpoints, EveryNameSaysThatItIsTheWorkers) {
    for (const std::string_view name : kFailpoints)
        EXPECT_EQ(name.substr(0, 7), "worker.") << name;
}

}  // namespace
}  // namespace nsa::worker_lab
