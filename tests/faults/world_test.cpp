// The simulation must find what is planted: a scheduler with one bug at a time.
#include "world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace nsa::faults {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::uint64_t kSeeds = 300;

// The first violation of the seeds, or nothing.
std::string found_with(World::Step step) {
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
        const std::vector<std::string> violations = World(seed, step).live();
        if (!violations.empty()) return violations.front();
    }
    return {};
}

template <class Act>
void drop(std::vector<sched::Action>& actions) {
    std::erase_if(actions, [](const sched::Action& one) { return std::holds_alternative<Act>(one); });
}

TEST(World, TheSchedulerAsItIsViolatesNothing) {
    EXPECT_EQ(found_with(sched::step), "");
}

TEST(World, TheSameSeedIsTheSameLife) {
    World first(7), second(7);
    EXPECT_EQ(first.live(), second.live());
    EXPECT_EQ(first.age(), second.age());
}

TEST(World, AnHourWithoutALinkLeavesTheVerdictUntouched) {
    EXPECT_THAT(World(1).outlive(std::chrono::hours{1}), IsEmpty());
}

TEST(World, FindsALaunchWithoutItsIntent) {
    const auto broken = [](sched::State& state, const sched::Event& event, sched::Instant now) {
        std::vector<sched::Action> actions = sched::step(state, event, now);
        drop<sched::SaveIntent>(actions);
        return actions;
    };
    EXPECT_THAT(found_with(broken), HasSubstr("intent before launch"));
}

TEST(World, FindsAResultThatIsNeverWritten) {
    const auto broken = [](sched::State& state, const sched::Event& event, sched::Instant now) {
        std::vector<sched::Action> actions = sched::step(state, event, now);
        drop<sched::Publish>(actions);
        return actions;
    };
    EXPECT_THAT(found_with(broken), HasSubstr("every run ends"));
}

TEST(World, FindsAResultThatIsWrittenTwice) {
    const auto broken = [](sched::State& state, const sched::Event& event, sched::Instant now) {
        std::vector<sched::Action> actions = sched::step(state, event, now);
        const std::vector<sched::Action> once = actions;
        for (const sched::Action& one : once) {
            if (std::holds_alternative<sched::Publish>(one)) actions.push_back(one);
        }
        return actions;
    };
    EXPECT_THAT(found_with(broken), HasSubstr("one result"));
}

TEST(World, FindsALeaseThatIsForgotten) {
    const auto broken = [](sched::State& state, const sched::Event& event, sched::Instant now) {
        std::vector<sched::Action> actions = sched::step(state, event, now);
        for (auto& [name, instance] : state.instances)
            instance.lease.reset();
        return actions;
    };
    EXPECT_THAT(found_with(broken), Not(IsEmpty()));
}

TEST(World, FindsACancelThatLoses) {
    const auto broken = [](sched::State& state, const sched::Event& event, sched::Instant now) {
        if (std::holds_alternative<sched::CancelAsked>(event)) return std::vector<sched::Action>{};
        return sched::step(state, event, now);
    };
    EXPECT_THAT(found_with(broken), Not(IsEmpty()));
}

}  // namespace
}  // namespace nsa::faults
