// Limits of a run, each with an end of its own: queue, setup, run and silence. The two others: a host that
// does not answer (SshRun.ADeadHostEndsTheRunAtItsProvisionLimit), files that do not come home
// (Ends.AFullDiskAtHomeHoldsTheRunAndSaysSo).
#include <gtest/gtest.h>

#include "nsad_process.hpp"
#include "specs.hpp"

namespace nsa::test {
namespace {

using language::Reason;
using language::RunState;
using language::Status;
using language::Verdict;

constexpr const char* kForEver = "sleep 1000";

TEST(RunLimits, ARunThatWaitsBeyondItsQueueLimitEndsAndTheOneItWaitedForGoesOn) {
    TempDir dir;
    NsadProcess nsad(dir.path());
    const std::string flag = (dir / "flag").string();
    const RunId holds = nsad.submit(shell_spec("while [ ! -e '" + flag + "' ]; do sleep 0.02; done"));
    nsad.wait_state(holds, RunState::kRunning);
    const api::RunView waited = nsad.wait_done(nsad.submit(shell_spec("true", "timeouts: {queue: 1s}\n")));
    EXPECT_EQ(waited.reason, Reason::kQueueTimeout);
    EXPECT_EQ(waited.status, Status::kInfrastructure);
    EXPECT_EQ(waited.cases[0].seconds, 0);
    write_file(flag, "");
    EXPECT_EQ(nsad.wait_done(holds).status, Status::kPass);
}

TEST(RunLimits, ASetupBeyondItsLimitFailsTheSetupAndNoStepRuns) {
    TempDir dir;
    NsadProcess nsad(dir.path());
    const std::string setup = "setup:\n  - [sleep, '1000']\ntimeouts: {setup: 1s}\n";
    const api::RunView run = nsad.wait_done(nsad.submit(shell_spec("true", setup)));
    EXPECT_EQ(run.reason, Reason::kSetupFailed);
    EXPECT_EQ(run.status, Status::kInfrastructure);
    EXPECT_EQ(run.cases[0].seconds, 0);
}

TEST(RunLimits, AStepBeyondItsWallLimitIsATimeout) {
    TempDir dir;
    NsadProcess nsad(dir.path());
    const api::RunView run = nsad.wait_done(nsad.submit(shell_spec(kForEver, "timeouts: {run: 1s}\n")));
    EXPECT_EQ(run.reason, Reason::kCompleted);
    EXPECT_EQ(run.cases[0].verdict, Verdict::kTimeout) << run.cases[0].reason;
}

TEST(RunLimits, AStepThatIsSilentForTooLongEndsBeforeItsWallLimitAndSaysWhy) {
    TempDir dir;
    NsadProcess nsad(dir.path());
    const api::RunView run = nsad.wait_done(
        nsad.submit(shell_spec(std::string("echo up; ") + kForEver, "timeouts: {silence: 1s}\n")));
    EXPECT_EQ(run.reason, Reason::kCompleted);
    EXPECT_EQ(run.cases[0].verdict, Verdict::kTimeout) << run.cases[0].reason;
    EXPECT_NE(run.cases[0].reason.find("silen"), std::string::npos) << run.cases[0].reason;
}

}  // namespace
}  // namespace nsa::test
