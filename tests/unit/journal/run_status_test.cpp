#include "journal/run_status.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "journal/lock.hpp"
#include "journal/run_dir.hpp"
#include "posix/identity.hpp"
#include "temp_dir.hpp"

namespace nsa::journal {
namespace {

using protocol::RemoteState;

class RunStatusTest : public ::testing::Test {
  protected:
    static language::RunStarted ourselves() {
        const auto self = posix::identity_of(::getpid()).value();
        return {self.pid, self.start_ticks, self.boot_id, posix::host_name(), "0.1.0"};
    }
    RunStatus status_with(const language::RunStarted& started, bool finished = false) {
        std::string text = language::to_line({1, 0, started});
        if (finished) text += language::to_line({2, 0, language::RunFinished{}});
        dir_.write(kJournalFile, text);
        return read_run_status(dir_.fd()).value();
    }

    test::TempDir dir_;
};

TEST_F(RunStatusTest, ALivingSupervisorIsRunning) {
    const auto status = status_with(ourselves());
    EXPECT_EQ(status.state, RemoteState::kRunning);
    EXPECT_EQ(status.last_seq, 1U);
    EXPECT_EQ(status.supervisor, ourselves());
}

TEST_F(RunStatusTest, AReusedPidIsAnotherProcess) {
    auto started = ourselves();
    started.start_ticks += 1;
    EXPECT_EQ(status_with(started).state, RemoteState::kSupervisorDead);
}

TEST_F(RunStatusTest, AnotherBootIdOnThisHostIsAReboot) {
    auto started = ourselves();
    started.boot_id = "before";
    EXPECT_EQ(status_with(started).state, RemoteState::kHostRebooted);
}

TEST_F(RunStatusTest, ASupervisorOfAnotherHostCannotBeJudgedHere) {
    auto started = ourselves();
    started.boot_id = "elsewhere";
    started.host = "compute-17";
    EXPECT_EQ(status_with(started).state, RemoteState::kRunning);
}

TEST_F(RunStatusTest, FinishedIsFinishedWhoeverIsDead) {
    auto started = ourselves();
    started.boot_id = "before";
    const auto status = status_with(started, true);
    EXPECT_EQ(status.state, RemoteState::kFinished);
    EXPECT_EQ(status.last_seq, 2U);
}

TEST_F(RunStatusTest, WithoutAFirstEventItIsUnknownUnlessASupervisorIsAboutToWriteIt) {
    EXPECT_EQ(read_run_status(dir_.fd()).value().state, RemoteState::kUnknownRun);
    dir_.write(kJournalFile, "{\"seq\":1,\"wall");
    EXPECT_EQ(read_run_status(dir_.fd()).value().state, RemoteState::kUnknownRun);
    const auto lock = try_lock(dir_.fd(), kLockFile).value();
    EXPECT_EQ(read_run_status(dir_.fd()).value().state, RemoteState::kRunning);
}

TEST_F(RunStatusTest, ALockIsHeldByOneAndAskedByAll) {
    auto lock = try_lock(dir_.fd(), kLockFile);
    ASSERT_TRUE(lock);
    EXPECT_TRUE(is_locked(dir_.fd(), kLockFile));
    EXPECT_EQ(try_lock(dir_.fd(), kLockFile).error().code, ErrorCode::kConflict);
    lock->reset();
    EXPECT_FALSE(is_locked(dir_.fd(), kLockFile));
    EXPECT_TRUE(try_lock(dir_.fd(), kLockFile));
    EXPECT_FALSE(is_locked(dir_.fd(), "no such lock"));
}

TEST(RunDir, FolderNamesGoBothWaysAndStrangersAreNoRuns) {
    const protocol::RunKey run{RunId{"r-0123456789abc"}, Attempt{12}};
    EXPECT_EQ(folder_of(run), "r-0123456789abc.12");
    EXPECT_EQ(run_of_folder("r-0123456789abc.12"), run);
    for (const auto* name : {"", "r-1", "r-1.", "r-1.0", "r-1.-1", "r-1.01", "r-1.1x", ".1", "R.1", "r-1.1.2",
                             "..", "r-1.99999999999"}) {
        EXPECT_FALSE(run_of_folder(name)) << name;
    }
}

}  // namespace
}  // namespace nsa::journal
