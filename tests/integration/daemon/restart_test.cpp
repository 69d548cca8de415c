// The daemon dies or is stopped while a run executes; the next one takes the run over.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include "nsad_process.hpp"
#include "specs.hpp"

namespace nsa::test {
namespace {

using language::RunState;
using language::Status;
using std::chrono::seconds;

// Starts once, writes one line before and one after the test has made `flag`.
std::string two_lines(const std::filesystem::path& dir) {
    return "echo start >> '" + (dir / "starts").string() + "'; echo one; while [ ! -e '" +
           (dir / "flag").string() + "' ]; do sleep 0.02; done; echo two";
}

void expect_recorded_once(NsadProcess& nsad, const RunId& id, const std::filesystem::path& dir) {
    const api::RunView run = nsad.wait_done(id);
    EXPECT_EQ(run.status, Status::kPass) << run.message;
    EXPECT_EQ(run.attempt, Attempt{1});
    EXPECT_EQ(read_file(dir / "starts"), "start\n") << "its step ran once";
    EXPECT_EQ(nsad.whole_log(id, "s"), "one\ntwo\n");
    EXPECT_EQ(nsad.call(nsad.api().list_runs(10)).size(), 1U);
    EXPECT_EQ(nsad.call(nsad.api().artifacts(id)).empty(), false);
}

TEST(Restart, ARunThatExecutesWhileTheDaemonIsKilledIsAdoptedAndRecordedOnce) {
    TempDir dir;
    RunId id;
    {
        NsadProcess nsad(dir.path());
        id = nsad.submit(shell_spec(two_lines(dir.path())));
        nsad.wait_state(id, RunState::kRunning);
        ASSERT_TRUE(nsad.end(SIGKILL, seconds(20)));
    }
    NsadProcess nsad(dir.path());
    nsad.wait_state(id, RunState::kRunning);
    write_file(dir / "flag", "");
    expect_recorded_once(nsad, id, dir.path());
}

TEST(Restart, ARunThatEndsWhileNoDaemonRunsIsCollectedByTheNextOne) {
    TempDir dir;
    RunId id;
    {
        NsadProcess nsad(dir.path());
        id = nsad.submit(shell_spec(two_lines(dir.path())));
        nsad.wait_state(id, RunState::kRunning);
        ASSERT_TRUE(nsad.end(SIGKILL, seconds(20)));
    }
    write_file(dir / "flag", "");
    NsadProcess nsad(dir.path());
    expect_recorded_once(nsad, id, dir.path());
}

TEST(Restart, AStoppedDaemonEndsWithinFiveSecondsAndLeavesItsRunsAlone) {
    TempDir dir;
    RunId id;
    {
        NsadProcess nsad(dir.path());
        id = nsad.submit(shell_spec(two_lines(dir.path())));
        nsad.wait_state(id, RunState::kRunning);
        const std::optional<int> status = nsad.end(SIGTERM, seconds(20));
        ASSERT_TRUE(status) << "did not end";
        EXPECT_TRUE(WIFEXITED(*status) && WEXITSTATUS(*status) == 0);
    }
    NsadProcess nsad(dir.path());
    nsad.wait_state(id, RunState::kRunning);
    write_file(dir / "flag", "");
    expect_recorded_once(nsad, id, dir.path());
}

// The daemon is killed at many moments of short runs: whatever it had acknowledged is there, and ends once.
TEST(Restart, NoMomentOfAKillLosesOrDoublesARun) {
    TempDir dir;
    std::vector<RunId> runs;
    constexpr int kKills = 12;
    for (int kill = 0; kill < kKills; ++kill) {
        NsadProcess nsad(dir.path());
        const std::string mark = "echo x >> '" + (dir / ("mark" + std::to_string(kill))).string() + "'";
        runs.push_back(nsad.submit(shell_spec(mark)));
        // One version further with every kill: another place of the run's life each time.
        nsad.call(
            nsad.api().wait_run(runs.back(), static_cast<std::uint64_t>(kill), std::chrono::seconds(2)));
        ASSERT_TRUE(nsad.end(SIGKILL, seconds(20)));
    }
    NsadProcess nsad(dir.path());
    for (int kill = 0; kill < kKills; ++kill) {
        const api::RunView run = nsad.wait_done(runs[static_cast<std::size_t>(kill)]);
        EXPECT_EQ(run.status, Status::kPass) << run.message;
        EXPECT_EQ(read_file(dir / ("mark" + std::to_string(kill))), "x\n") << "ran once";
        EXPECT_FALSE(nsad.call(nsad.api().report(run.run)).markdown_path.empty());
    }
    EXPECT_EQ(nsad.call(nsad.api().list_runs(100)).size(), runs.size());
}

}  // namespace
}  // namespace nsa::test
