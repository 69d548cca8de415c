#include "daemon/log_owner.hpp"

#include <gtest/gtest.h>

namespace nsa::daemon {
namespace {

store::RunRow a_run(language::RunState state, store::CaseState first_case) {
    store::RunRow row;
    row.run = RunId{"r-1"};
    row.state = state;
    row.cases.resize(1);
    row.cases[0].key = CaseKey{"decode[S=512]"};
    row.cases[0].state = first_case;
    row.cases[0].stdout_bytes = 7;
    return row;
}

TEST(LogOwnerTest, ACaseIsNamedByItsKeyAndItsBytesWereCounted) {
    const store::RunRow row = a_run(language::RunState::kRunning, store::CaseState::kFinished);
    const Result<LogOwner> owner = find_log_owner(row, {}, "decode[S=512]");
    ASSERT_TRUE(owner.has_value());
    EXPECT_EQ(owner->folder, "steps/" + language::case_folder(row.cases[0].key));
    EXPECT_TRUE(owner->over);
    EXPECT_EQ(owner->out_bytes, 7U);
    EXPECT_EQ(find_log_owner(row, {}, "decode").error().code, ErrorCode::kNotFound);
}

TEST(LogOwnerTest, ACommandOfTheSetUpIsNamedByItsFolderAndTheOneAfterTheLastMayBeRunning) {
    const store::RunRow row = a_run(language::RunState::kSetup, store::CaseState::kWaiting);
    const std::vector<store::SetupRow> setup(1);
    EXPECT_TRUE(find_log_owner(row, setup, "setup/0")->over);
    const Result<LogOwner> next = find_log_owner(row, setup, "setup/1");
    ASSERT_TRUE(next.has_value()) << next.error().describe();
    EXPECT_EQ(next->folder, "setup/1");
    EXPECT_FALSE(next->over);
    for (const char* bad : {"setup/2", "setup/", "setup/-1", "setup/0x", "setup/../x"})
        EXPECT_EQ(find_log_owner(row, setup, bad).error().code, ErrorCode::kNotFound) << bad;
}

TEST(LogOwnerTest, AfterTheSetUpThereAreOnlyTheCommandsThatWereRun) {
    const std::vector<store::SetupRow> setup(1);
    for (const store::RunRow& row : {a_run(language::RunState::kDone, store::CaseState::kWaiting),
                                     a_run(language::RunState::kRunning, store::CaseState::kRunning)}) {
        EXPECT_TRUE(find_log_owner(row, setup, "setup/0").has_value());
        EXPECT_EQ(find_log_owner(row, setup, "setup/1").error().code, ErrorCode::kNotFound);
    }
}

}  // namespace
}  // namespace nsa::daemon
