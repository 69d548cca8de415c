#include "runner/oom.hpp"

#include <gtest/gtest.h>

namespace nsa::runner {
namespace {

using Files = std::vector<std::string>;

TEST(OomCounter, OfVersion2LiesInOurGroupOrAtTheRootOfAContainer) {
    EXPECT_EQ(
        oom_counter_files("0::/user.slice/session-3.scope\n"),
        (Files{"/sys/fs/cgroup/user.slice/session-3.scope/memory.events", "/sys/fs/cgroup/memory.events"}));
    EXPECT_EQ(oom_counter_files("0::/\n"), (Files{"/sys/fs/cgroup/memory.events"}));
}

TEST(OomCounter, OfVersion1IsTheMemoryControllersWhateverStandsBesideIt) {
    EXPECT_EQ(oom_counter_files("9:name=systemd:/\n8:cpu,memory:/docker/ab:c\n5:cpuset:/x\n"),
              (Files{"/sys/fs/cgroup/memory/docker/ab:c/memory.oom_control",
                     "/sys/fs/cgroup/memory/memory.oom_control"}));
    EXPECT_EQ(oom_counter_files("5:memoryless:/x\nnonsense\n7:half"), Files{});
    EXPECT_EQ(oom_counter_files(""), Files{});
}

TEST(OomCounter, IsReadFromItsOwnLineOnly) {
    EXPECT_EQ(oom_kill_count("low 0\nhigh 4\nmax 9\noom 3\noom_kill 2\noom_group_kill 1\n"), 2U);
    EXPECT_EQ(oom_kill_count("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"), 7U);
    EXPECT_EQ(oom_kill_count("nr_oom_kill 5\n"), std::nullopt);
    EXPECT_EQ(oom_kill_count("oom_kill x\n"), std::nullopt);
    EXPECT_EQ(oom_kill_count(""), std::nullopt);
}

TEST(OomCounter, SaysNothingWhenNobodyWasKilledOrNothingIsKnown) {
    const OomCounter counter = OomCounter::open();
    EXPECT_EQ(counter.since(counter.kills()), "");
    EXPECT_EQ(counter.since(std::nullopt), "");
    EXPECT_EQ(OomCounter{}.kills(), std::nullopt);
}

}  // namespace
}  // namespace nsa::runner
