// Runs on this machine, through the real nsad, nsa-worker and API.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include "language/hash.hpp"
#include "nsad_process.hpp"
#include "specs.hpp"

namespace nsa::test {
namespace {

using language::Reason;
using language::RunState;
using language::Status;
using language::Verdict;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(LocalRun, GoesFromSubmissionToReportWithItsLogsAndArtifacts) {
    TempDir dir;
    NsadProcess nsad(dir.path());
    const RunId id = nsad.submit(shell_spec("echo out; echo err >&2; echo data > d.txt"));
    const api::RunView run = nsad.wait_done(id);
    EXPECT_EQ(run.reason, Reason::kCompleted);
    EXPECT_EQ(run.status, Status::kPass);
    EXPECT_EQ(run.attempt, Attempt{1});
    EXPECT_EQ(run.instance, InstanceName{"local"});
    ASSERT_EQ(run.cases.size(), 1U);
    EXPECT_EQ(run.cases[0].verdict, Verdict::kPass);
    EXPECT_EQ(nsad.whole_log(id, "s"), "out\n");
    EXPECT_EQ(nsad.whole_log(id, "s", "stderr"), "err\n");
    bool found = false;
    for (const api::ArtifactView& artifact : nsad.call(nsad.api().artifacts(id))) {
        if (artifact.path != "steps/s/d.txt") continue;
        found = true;
        EXPECT_EQ(read_file(artifact.stored_at), "data\n");
        EXPECT_EQ(artifact.size, 5U);
    }
    EXPECT_TRUE(found);
    const api::ReportView report = nsad.call(nsad.api().report(id));
    const std::string markdown = read_file(report.markdown_path);
    EXPECT_NE(markdown.find("Daemon test"), std::string::npos);
    EXPECT_NE(markdown.find("against the SHA-256 that the worker stated"), std::string::npos);
    const std::string manifest = read_file(dir / "artifacts" / id.value / "1/manifest.json");
    EXPECT_NE(manifest.find("steps/s/d.txt"), std::string::npos) << manifest;
    EXPECT_NE(
        markdown.find("[manifest.json](1/manifest.json) (sha256 `" + sha256_of(manifest).value.substr(0, 12)),
        std::string::npos);
    EXPECT_EQ(report.status, Status::kPass);
}

TEST(LocalRun, ItsLogCanBeReadWhileItRuns) {
    TempDir dir;
    NsadProcess nsad(dir.path());
    // The step ends only when the test has read its first line and made the file.
    const std::string flag = (dir / "flag").string();
    const RunId id =
        nsad.submit(shell_spec("echo first; while [ ! -e '" + flag + "' ]; do sleep 0.02; done"));
    api::LogRequest request;
    request.run = id;
    request.key = CaseKey{"s"};
    request.wait = seconds(30);
    const api::LogChunk chunk = nsad.call(nsad.api().read_log(request));
    EXPECT_EQ(chunk.bytes, "first\n");
    EXPECT_FALSE(chunk.complete);
    EXPECT_EQ(nsad.wait_state(id, RunState::kRunning).cases[0].state, "running");
    write_file(flag, "");
    EXPECT_EQ(nsad.wait_done(id).status, Status::kPass);
}

TEST(LocalRun, RunsOfOneInstanceGoOneAfterTheOther) {
    TempDir dir;
    NsadProcess nsad(dir.path());
    const std::string lock = (dir / "lock").string();
    const std::string script = "mkdir '" + lock + "' && sleep 0.1 && rmdir '" + lock + "'";
    std::vector<RunId> runs;
    for (int i = 0; i < 5; ++i)
        runs.push_back(nsad.submit(shell_spec(script)));
    for (const RunId& id : runs)
        EXPECT_EQ(nsad.wait_done(id).status, Status::kPass);
}

TEST(LocalRun, TheSameIdempotencyKeyIsTheSameRunAndAnotherBodyIsRefused) {
    TempDir dir;
    NsadProcess nsad(dir.path());
    api::SubmitRequest request;
    request.spec_yaml = shell_spec("true");
    request.instance = "local";
    request.idempotency_key = "key-1";
    const api::SubmitReply first = nsad.call(nsad.api().submit(request));
    const api::SubmitReply second = nsad.call(nsad.api().submit(request));
    EXPECT_EQ(first.run, second.run);
    EXPECT_FALSE(first.existed);
    EXPECT_TRUE(second.existed);
    request.spec_yaml = shell_spec("false");
    EXPECT_THROW(nsad.call(nsad.api().submit(request)), std::runtime_error);
    nsad.wait_done(first.run);
    EXPECT_EQ(nsad.call(nsad.api().list_runs(10)).size(), 1U);
}

TEST(LocalRun, ASubmissionIsRefusedWhenNobodyLookedAtTheWorkingTreeThatItsSpecNames) {
    TempDir dir;
    NsadProcess nsad(dir.path());
    api::SubmitRequest request;
    request.spec_yaml = shell_spec("true", "code: {repo: ., dirty: forbid}\n");
    request.instance = "local";
    EXPECT_THROW(nsad.call(nsad.api().submit(request)), std::runtime_error);
    request.working_tree = language::WorkingTree{"c0ffee", 1, "7ee5"};
    EXPECT_THROW(nsad.call(nsad.api().submit(request)), std::runtime_error) << "edits are forbidden";
    request.working_tree->edited = 0;
    request.idempotency_key = "key-1";
    nsad.wait_done(nsad.call(nsad.api().submit(request)).run);
    request.working_tree->tree = "7ee6";
    EXPECT_THROW(nsad.call(nsad.api().submit(request)), std::runtime_error) << "the key is another tree's";
    EXPECT_EQ(nsad.call(nsad.api().list_runs(10)).size(), 1U);
}

TEST(LocalRun, ACancelledRunEndsCancelledAndItsProcessesAreGone) {
    TempDir dir;
    NsadProcess nsad(dir.path());
    const std::string pid_file = (dir / "pid").string();
    const RunId id = nsad.submit(shell_spec("echo $$ > '" + pid_file + "'; echo up; exec sleep 1000"));
    api::LogRequest request;
    request.run = id;
    request.key = CaseKey{"s"};
    request.wait = seconds(30);
    EXPECT_EQ(nsad.call(nsad.api().read_log(request)).bytes, "up\n");
    nsad.call(nsad.api().cancel(id));
    const api::RunView run = nsad.wait_done(id);
    EXPECT_EQ(run.reason, Reason::kCancelledByUser);
    EXPECT_EQ(run.status, Status::kCancelled);
    EXPECT_EQ(run.cases[0].verdict, Verdict::kCancelled);
    EXPECT_EQ(::kill(std::stoi(read_file(pid_file)), 0), -1);
    EXPECT_EQ(nsad.whole_log(id, "s"), "up\n");
}

TEST(LocalRun, ACancelledRunThatWaitsNeverStarts) {
    TempDir dir;
    NsadProcess nsad(dir.path());
    const std::string flag = (dir / "flag").string();
    const std::string touched = (dir / "touched").string();
    const RunId first = nsad.submit(shell_spec("while [ ! -e '" + flag + "' ]; do sleep 0.02; done"));
    nsad.wait_state(first, RunState::kRunning);
    const RunId second = nsad.submit(shell_spec("touch '" + touched + "'"));
    nsad.call(nsad.api().cancel(second));
    EXPECT_EQ(nsad.wait_done(second).reason, Reason::kCancelledByUser);
    write_file(flag, "");
    EXPECT_EQ(nsad.wait_done(first).status, Status::kPass);
    EXPECT_FALSE(std::filesystem::exists(touched));
}

TEST(LocalRun, ASecondDaemonOnTheSameFolderLeavesWithAClearError) {
    TempDir dir;
    NsadProcess nsad(dir.path());
    const Refusal refusal = start_and_fail(dir.path());
    EXPECT_EQ(refusal.exit_code, 1);
    EXPECT_NE(refusal.said.find("another daemon (pid " + std::to_string(nsad.pid()) + ")"), std::string::npos)
        << refusal.said;
    EXPECT_EQ(nsad.wait_done(nsad.submit(shell_spec("true"))).status, Status::kPass)
        << "the first one goes on";
}

}  // namespace
}  // namespace nsa::test
