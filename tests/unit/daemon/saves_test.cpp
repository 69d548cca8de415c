#include "daemon/saves.hpp"

#include <gtest/gtest.h>

#include "support/temp_dir.hpp"

namespace nsa::daemon {
namespace {

using language::RunState;
using scheduler::Action;
using scheduler::SaveIntent;
using scheduler::SaveRun;

struct SavesTest : ::testing::Test {
    SavesTest() : store(*store::Store::open(dir / "nsa.db")) {
        for (const char* id : {"r-1", "r-2"}) {
            store::NewRun run;
            run.run = {id};
            run.cases = {{CaseKey{"a"}, "a", "command", "A"}};
            EXPECT_TRUE(store.submit(run));
        }
    }
    static SaveRun staging(const char* run) {
        SaveRun save;
        save.run = {run};
        save.state = RunState::kStaging;
        save.lease = {"box"};
        return save;
    }
    test::TempDir dir;
    store::Store store;
};

TEST_F(SavesTest, LeaseStateAndIntentOfARunAreWrittenTogether) {
    const std::vector<Action> saves = {staging("r-1"), SaveIntent{{"r-1"}, Attempt{1}, {"box"}}};
    const auto results = write_saves(store, saves, 7);
    ASSERT_TRUE(results);
    EXPECT_EQ(results->size(), 2U);
    const store::RunRow row = *store.find_run({"r-1"});
    EXPECT_EQ(row.state, RunState::kStaging);
    EXPECT_TRUE(row.holds_lease);
    EXPECT_EQ(row.attempt->attempt, Attempt{1});
}

TEST_F(SavesTest, AfterARefusedSaveNothingOfThatRunIsWrittenAndTheOthersAre) {
    const std::vector<Action> saves = {staging("r-1"), staging("r-2"),
                                       SaveIntent{{"r-2"}, Attempt{1}, {"box"}},
                                       SaveIntent{{"r-1"}, Attempt{1}, {"box"}}};
    const auto results = write_saves(store, saves, 7);
    ASSERT_TRUE(results);
    EXPECT_TRUE((*results)[0]);
    EXPECT_EQ((*results)[1].error().code, ErrorCode::kConflict) << "the instance is leased by r-1";
    EXPECT_EQ((*results)[2].error(), (*results)[1].error()) << "no attempt without the lease";
    EXPECT_TRUE((*results)[3]);
    EXPECT_FALSE(store.find_run({"r-2"})->attempt);
}

}  // namespace
}  // namespace nsa::daemon
