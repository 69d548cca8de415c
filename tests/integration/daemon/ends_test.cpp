// Each way to fail ends in a clear state, reason and message, with what the failed step left.
#include <gtest/gtest.h>

#include "language/hash.hpp"
#include "nsad_process.hpp"
#include "specs.hpp"

namespace nsa::test {
namespace {

using language::Reason;
using language::RunState;
using language::Status;
using language::Verdict;
using std::chrono::seconds;

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST(Ends, ACrashingStepKeepsItsLogsAndArtifactsAndSaysHowItEnded) {
    TempDir dir;
    NsadProcess nsad(dir.path());
    struct Crash {
        std::string script, said;
        Verdict verdict;
    };
    const std::vector<Crash> crashes = {{"kill -FPE $$", "SIGFPE", Verdict::kError},
                                        {"kill -SEGV $$", "SIGSEGV", Verdict::kError},
                                        {"kill -ABRT $$", "SIGABRT", Verdict::kError},
                                        {"exit 3", "3", Verdict::kFail}};
    for (const Crash& crash : crashes) {
        const RunId id = nsad.submit(shell_spec("echo before; echo partial > p.txt; " + crash.script));
        const api::RunView run = nsad.wait_done(id);
        EXPECT_EQ(run.reason, Reason::kCompleted) << crash.script;
        EXPECT_NE(run.status, Status::kPass) << crash.script;
        EXPECT_EQ(run.cases[0].verdict, crash.verdict) << crash.script;
        EXPECT_TRUE(contains(run.cases[0].reason, crash.said)) << run.cases[0].reason;
        EXPECT_TRUE(contains(run.message, crash.said)) << run.message;
        EXPECT_EQ(nsad.whole_log(id, "s"), "before\n");
        bool partial = false;
        for (const api::ArtifactView& one : nsad.call(nsad.api().artifacts(id)))
            partial |= one.path == "steps/s/p.txt";
        EXPECT_TRUE(partial) << crash.script;
    }
}

TEST(Ends, AMissingInstanceIsNamed) {
    TempDir dir;
    NsadProcess nsad(dir.path());
    const api::RunView run = nsad.wait_done(nsad.submit(shell_spec("true"), "a100-7"));
    EXPECT_EQ(run.reason, Reason::kInstanceMissing);
    EXPECT_EQ(run.status, Status::kInfrastructure);
    EXPECT_TRUE(contains(run.message, "a100-7")) << run.message;
}

TEST(Ends, AFailedSetupCommandIsNamedAndNoStepRuns) {
    TempDir dir;
    NsadProcess nsad(dir.path());
    const RunId id = nsad.submit(
        shell_spec("true", "setup:\n  - [/bin/echo, built]\n  - [sh, -c, 'echo no nvcc >&2; exit 3']\n"));
    const api::RunView run = nsad.wait_done(id);
    EXPECT_EQ(run.reason, Reason::kSetupFailed);
    EXPECT_EQ(run.status, Status::kInfrastructure);
    EXPECT_FALSE(run.message.empty());
    EXPECT_EQ(nsad.whole_log(id, "setup/0"), "built\n");
    EXPECT_EQ(nsad.whole_log(id, "setup/1", "stderr"), "no nvcc\n");
    const std::string report = read_file(nsad.call(nsad.api().report(id)).markdown_path);
    EXPECT_TRUE(contains(report, "**exit code 3**")) << report;
    EXPECT_TRUE(contains(report, "[stderr](1/setup/1/stderr)")) << report;
}

TEST(Ends, AVerdictThatCameOnALaterTrySaysSoInTheReport) {
    TempDir dir;
    NsadProcess nsad(dir.path());
    const std::string mark = (dir / "died").string();
    const RunId id =
        nsad.submit(shell_spec("test -e " + mark + " || { touch " + mark + "; kill -9 $PPID; sleep 1000; }",
                               "retry: {on: [infra], max: 1}\n"));
    const api::RunView run = nsad.wait_done(id);
    EXPECT_EQ(run.status, Status::kPass);
    EXPECT_EQ(run.attempt, Attempt{2});
    const std::string report = read_file(nsad.call(nsad.api().report(id)).markdown_path);
    EXPECT_TRUE(contains(report, "1 of 1 case passed; on try 2, for try 1 ended with worker_died."))
        << report;
    EXPECT_TRUE(contains(report, "| 1 | 1 | local |")) << report;
}

TEST(Ends, AFullDiskAtHomeHoldsTheRunAndSaysSo) {
    TempDir dir;
    std::filesystem::create_directories(dir / "artifacts");
    // The artifact folder is a file system of 64 KiB, for this daemon alone.
    const std::string mount =
        "mount -t tmpfs -o size=64k none '" + (dir / "artifacts").string() + "' && exec \"$@\"";
    NsadProcess nsad(dir.path(), {"unshare", "--mount", "--map-root-user", "sh", "-c", mount, "sh"});
    const RunId id = nsad.submit(shell_spec("head -c 200000 /dev/zero > big.txt", "timeouts: {pull: 4s}\n"));
    const api::RunView run = nsad.wait_done(id);
    EXPECT_EQ(run.reason, Reason::kPullTimeout);
    EXPECT_EQ(run.status, Status::kInfrastructure);
    EXPECT_TRUE(contains(run.message, "disk of this host is full")) << run.message;
    EXPECT_EQ(run.cases[0].verdict, Verdict::kError);
}

// The hashes are those of the files as they stay: nothing of the pull is written behind them.
TEST(Ends, APullThatIsGivenUpWritesNothingAfterItsFilesWereHashed) {
    TempDir dir;
    NsadProcess nsad(dir.path());
    const RunId id =
        nsad.submit(shell_spec("head -c 200000000 /dev/zero > big.txt", "timeouts: {pull: 20ms}\n"));
    const api::RunView run = nsad.wait_done(id);
    EXPECT_EQ(run.reason, Reason::kPullTimeout);
    EXPECT_EQ(run.status, Status::kInfrastructure);
    EXPECT_EQ(nsad.wait_done(nsad.submit(shell_spec("true"))).status, Status::kPass);  // time goes on
    for (const api::ArtifactView& one : nsad.call(nsad.api().artifacts(id))) {
        const std::string bytes = read_file(one.stored_at);
        EXPECT_EQ(bytes.size(), one.size) << one.path;
        EXPECT_EQ(sha256_of(bytes), one.sha256) << one.path;
    }
}

TEST(Ends, TheRemainsOfADeadWorkerAreItsLogsByteForByteWithThoseOfTheSetup) {
    TempDir dir;
    NsadProcess nsad(dir.path());
    const RunId id = nsad.submit(
        shell_spec("seq 1 200000; kill -9 $PPID; exec sleep 1000", "setup:\n  - [/bin/echo, built]\n"));
    const api::RunView run = nsad.wait_done(id);
    EXPECT_EQ(run.reason, Reason::kWorkerDied);
    EXPECT_EQ(run.status, Status::kInfrastructure);
    const std::filesystem::path there = dir / "home/.nsa/runs" / (id.value + ".1");
    std::size_t logs = 0;
    for (const api::ArtifactView& one : nsad.call(nsad.api().artifacts(id))) {
        EXPECT_EQ(read_file(one.stored_at), read_file(there / one.path)) << one.path;
        logs += one.path == "steps/s/stdout" || one.path == "setup/0/stdout";
    }
    EXPECT_EQ(logs, 2U);
    const std::string report = read_file(nsad.call(nsad.api().report(id)).markdown_path);
    EXPECT_TRUE(contains(report, "the SHA-256 was made here")) << report;
}

TEST(Ends, AFullDiskOnTheHostIsTheReason) {
    TempDir dir;
    std::filesystem::create_directories(dir / "home");
    const std::string mount =
        "mount -t tmpfs -o size=8m none '" + (dir / "home").string() + "' && exec \"$@\"";
    NsadProcess nsad(dir.path(), {"unshare", "--mount", "--map-root-user", "sh", "-c", mount, "sh"});
    const api::RunView run =
        nsad.wait_done(nsad.submit(shell_spec("head -c 20000000 /dev/zero > big.txt; echo after")));
    EXPECT_NE(run.status, Status::kPass);
    EXPECT_TRUE(contains(run.message, "ENOSPC")) << run.message;
}

TEST(Ends, AnUnreadableSpecIsRefusedBeforeAnythingIsKept) {
    TempDir dir;
    NsadProcess nsad(dir.path());
    EXPECT_THROW(nsad.submit("version: 1\nsetps: []\n"), std::runtime_error);
    EXPECT_TRUE(nsad.call(nsad.api().list_runs(10)).empty());
}

}  // namespace
}  // namespace nsa::test
