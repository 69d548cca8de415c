// How steps end, and what the journal says about it.
#include <gtest/gtest.h>
#include <signal.h>

#include "worker_process.hpp"

namespace nsa::test {
namespace {

using language::EndKind;

class StepEnds : public ::testing::Test {
  protected:
    Followed run(std::vector<language::PlannedCase> cases) {
        return run_plan(worker_, run_key("r-ends"), plan_of(std::move(cases)));
    }
    std::filesystem::path step(const std::string& folder) const {
        return dir_.path() / "runs" / "r-ends.1" / "steps" / folder;
    }

    TempDir dir_;
    WorkerProcess worker_{dir_.path()};
};

TEST_F(StepEnds, EachKindOfDeathIsToldApartAndTheNextCaseStillRuns) {
    const auto followed =
        run({shell_case("ok", "exit 0"), shell_case("code", "exit 3"), shell_case("fpe", "kill -FPE $$"),
             shell_case("segv", "kill -SEGV $$"), shell_case("abrt", "kill -ABRT $$"),
             argv_case("missing", {"no-such-program", "x"}), shell_case("last", "exit 0")});
    EXPECT_EQ(followed.finished("ok").end, (language::ProcessEnd{}));
    EXPECT_EQ(followed.finished("code").end.exit_code, 3);
    EXPECT_EQ(followed.finished("code").end.kind, EndKind::kExited);
    for (const auto& [key, signal] :
         std::map<std::string, int>{{"fpe", SIGFPE}, {"segv", SIGSEGV}, {"abrt", SIGABRT}}) {
        EXPECT_EQ(followed.finished(key).end.kind, EndKind::kSignalled) << key;
        EXPECT_EQ(followed.finished(key).end.signal, signal) << key;
    }
    const auto missing = followed.finished("missing").end;
    EXPECT_EQ(missing.kind, EndKind::kNotStarted);
    EXPECT_NE(missing.detail.find("'no-such-program' is not in PATH"), std::string::npos) << missing.detail;
    EXPECT_EQ(followed.finished("last").end, (language::ProcessEnd{}));
    EXPECT_EQ(followed.all<language::RunFinished>().at(0).end, language::RunEnd::kCompleted);
}

TEST_F(StepEnds, CoreDumpIsFlaggedAsTheKernelReportsIt) {
    const auto followed = run({shell_case("core", "ulimit -c unlimited; kill -SEGV $$"),
                               shell_case("none", "ulimit -c 0; kill -SEGV $$")});
    EXPECT_FALSE(followed.finished("none").end.core_dumped);
    EXPECT_EQ(followed.finished("core").end.signal, SIGSEGV);
}

TEST_F(StepEnds, AProgramThatIsNoProgramIsNotStarted) {
    const auto followed =
        run({argv_case("dir", {"/tmp"}), argv_case("text", {"/etc/hostname"}), argv_case("after", {"true"})});
    EXPECT_EQ(followed.finished("dir").end.kind, EndKind::kNotStarted);
    EXPECT_EQ(followed.finished("text").end.kind, EndKind::kNotStarted);
    EXPECT_EQ(followed.finished("after").end.kind, EndKind::kExited);
}

TEST_F(StepEnds, WallLimitIsATimeoutWhateverTheExitCode) {
    auto polite = shell_case("polite", "trap 'exit 0' TERM; while :; do sleep 0.01; done");
    auto stubborn = shell_case("stubborn", "trap '' TERM; while :; do sleep 0.01; done");
    // Long enough for a busy machine to set both traps.
    polite.timeout = stubborn.timeout = std::chrono::milliseconds{1500};
    const auto followed = run({polite, stubborn});
    const auto by_term = followed.finished("polite");
    EXPECT_EQ(by_term.end.kind, EndKind::kTimedOut);
    EXPECT_EQ(by_term.end.exit_code, 0);
    EXPECT_EQ(by_term.end.signal, 0);
    EXPECT_EQ(by_term.end.detail, "stopped at its wall limit of 1.5 s");
    EXPECT_GE(by_term.seconds, 1.5);
    const auto by_kill = followed.finished("stubborn");
    EXPECT_EQ(by_kill.end.kind, EndKind::kTimedOut);
    EXPECT_EQ(by_kill.end.signal, SIGKILL);
    EXPECT_GE(by_kill.seconds, 1.8) << "limit plus grace";
}

TEST_F(StepEnds, SilenceLimitStopsTheSilentAndSparesTheTalkative) {
    auto silent = shell_case("silent", "echo once; sleep 60");
    auto talkative = shell_case("talkative", "for i in $(seq 35); do echo $i; sleep 0.1; done");
    silent.silence = std::chrono::milliseconds{1500};
    talkative.silence = std::chrono::seconds{3};  // shorter than it takes, longer than a busy machine is late
    const auto followed = run({silent, talkative});
    EXPECT_EQ(followed.finished("silent").end.kind, EndKind::kSilent);
    EXPECT_EQ(followed.finished("silent").end.detail, "stopped after 1.5 s without output");
    EXPECT_EQ(followed.finished("talkative").end.kind, EndKind::kExited);
}

TEST_F(StepEnds, NothingOfACaseOutlivesIt) {
    const auto followed =
        run({shell_case("leaves",
                        "sleep 300 & echo $! > group; setsid sleep 300 & echo $! > session; "
                        "(setsid sh -c 'sleep 300 & echo $! > orphan; exit 0'); exit 0")});
    EXPECT_EQ(followed.finished("leaves").end.kind, EndKind::kExited);
    for (const char* file : {"group", "session", "orphan"}) {
        const pid_t pid = std::stoi(read_text(step("leaves") / file));
        EXPECT_FALSE(process_exists(pid)) << file;
    }
}

TEST_F(StepEnds, TimeoutKillsTheWholeGroup) {
    auto planned = shell_case(
        "tree", "trap '' TERM; sh -c \"trap '' TERM; echo \\$\\$ > child; while :; do sleep 0.05; done\"");
    planned.timeout = std::chrono::milliseconds{1500};
    const auto followed = run({planned});
    EXPECT_EQ(followed.finished("tree").end.kind, EndKind::kTimedOut);
    EXPECT_FALSE(process_exists(std::stoi(read_text(step("tree") / "child"))));
}

TEST_F(StepEnds, PeakMemoryAndOutputSizesAreRecorded) {
    const auto followed = run({shell_case("sizes", "printf 12345; printf 123 >&2")});
    const auto finished = followed.finished("sizes");
    EXPECT_EQ(finished.stdout_bytes, 5U);
    EXPECT_EQ(finished.stderr_bytes, 3U);
    EXPECT_GT(finished.max_rss_kib, 100);
    EXPECT_LT(finished.max_rss_kib, 1 << 20);
}

TEST_F(StepEnds, PeakMemoryIsThatOfTheStepAloneWhateverRanBefore) {
    const auto followed =
        run({shell_case("large", "head -c 300000000 /dev/zero | tail -c 300000000 > /dev/null"),
             shell_case("small", "true")});
    EXPECT_GT(followed.finished("large").max_rss_kib, 250'000) << "what a step had waited for counts";
    EXPECT_LT(followed.finished("small").max_rss_kib, 150'000);
}

}  // namespace
}  // namespace nsa::test
