// Steps that are killed: by any signal, by the kernel for want of memory, by their limits, and in vain.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <array>
#include <cstring>
#include <fstream>

#include "worker_process.hpp"

namespace nsa::test {
namespace {

using language::EndKind;
using protocol::FrameType;

const protocol::RunKey kRun = run_key("r-kills");

// Signals that end a process that did nothing about them. SIGCHLD, SIGCONT, SIGURG and SIGWINCH do not, the
// four that stop it neither.
constexpr std::array kDeadly{SIGHUP,  SIGINT,  SIGQUIT,   SIGILL,  SIGTRAP, SIGABRT, SIGBUS,  SIGFPE,
                             SIGKILL, SIGUSR1, SIGSEGV,   SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGSTKFLT,
                             SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGIO,   SIGPWR,  SIGSYS};

TEST(KilledStep, IsRecordedWithItsSignalWhicheverItIsAndTheNextCaseStillRuns) {
    std::vector<language::PlannedCase> cases;
    for (const int signal : kDeadly) {
        cases.push_back(shell_case("signal" + std::to_string(signal),
                                   "ulimit -c 0; kill -" + std::to_string(signal) + " $$; exit 0"));
    }
    cases.push_back(shell_case("realtime", "kill -" + std::to_string(SIGRTMIN + 3) + " $$; exit 0"));
    cases.push_back(shell_case("last", "exit 0"));
    const TempDir dir;
    WorkerProcess worker{dir.path()};
    const auto followed = run_plan(worker, kRun, plan_of(std::move(cases)));
    for (const int signal : kDeadly) {
        const auto end = followed.finished("signal" + std::to_string(signal)).end;
        EXPECT_EQ(end.kind, EndKind::kSignalled) << ::strsignal(signal);
        EXPECT_EQ(end.signal, signal) << ::strsignal(signal);
        EXPECT_FALSE(end.core_dumped) << ::strsignal(signal);
        EXPECT_EQ(end.detail, "") << ::strsignal(signal);
    }
    EXPECT_EQ(followed.finished("realtime").end.signal, SIGRTMIN + 3);
    EXPECT_EQ(followed.finished("last").end, (language::ProcessEnd{}));
    EXPECT_EQ(followed.all<language::RunFinished>().at(0).end, language::RunEnd::kCompleted);
}

TEST(KilledStep, FromOutsideEndsItsCaseWhileTheSupervisorGoesOn) {
    const TempDir dir;
    WorkerProcess worker{dir.path()};
    const auto plan = plan_of({shell_case("victim", "echo $$; exec sleep 300"), shell_case("next", "true")});
    worker.ask<protocol::LaunchReply>(FrameType::kLaunch, encode(launch_of(kRun, plan)));
    const auto out = dir.path() / "runs/r-kills.1/steps/victim/stdout";
    eventually([&] { return read_text(out).ends_with("\n"); }, "the step runs");
    ::kill(std::stoi(read_text(out)), SIGKILL);
    const auto followed = follow(worker, kRun);
    EXPECT_EQ(followed.finished("victim").end.signal, SIGKILL);
    EXPECT_EQ(followed.finished("next").end, (language::ProcessEnd{}));
}

// A memory cgroup that this process may make: of version 2 or 1, removed in the end.
class MemoryCgroup {
  public:
    explicit MemoryCgroup(std::uint64_t limit) {
        const std::string name = "nsa-test-" + std::to_string(::getpid());
        const bool v2 = std::filesystem::exists("/sys/fs/cgroup/cgroup.controllers");
        folder_ = (v2 ? "/sys/fs/cgroup/" : "/sys/fs/cgroup/memory/") + name;
        std::error_code failed;
        std::filesystem::create_directory(folder_, failed);
        write("memory.swap.max", "0");
        usable_ = write(v2 ? "memory.max" : "memory.limit_in_bytes", std::to_string(limit));
    }
    ~MemoryCgroup() {
        std::error_code not_made;
        std::filesystem::remove(folder_, not_made);
    }
    MemoryCgroup(const MemoryCgroup&) = delete;
    MemoryCgroup& operator=(const MemoryCgroup&) = delete;
    bool usable() const { return usable_; }
    const std::string& folder() const { return folder_; }
    bool empty() const { return read_text(folder_ + "/cgroup.procs").empty(); }

  private:
    bool write(const std::string& file, const std::string& text) const {
        std::ofstream out{folder_ + "/" + file};
        return static_cast<bool>(out << text << std::flush);
    }

    std::string folder_;
    bool usable_ = false;
};

TEST(KilledStep, ByTheOomKillerIsToldFromOneThatSomebodyKilled) {
    const MemoryCgroup cgroup{96ULL << 20};
    if (!cgroup.usable()) GTEST_SKIP() << "needs the right to make " << cgroup.folder();
    {
        const TempDir dir;
        WorkerProcess worker{dir.path(), {.cgroup = cgroup.folder()}};
        const auto followed = run_plan(worker, kRun,
                                       plan_of({shell_case("killed", "kill -KILL $$"),
                                                shell_case("hog", "x=xxxxxxxx; while :; do x=$x$x; done"),
                                                shell_case("next", "exit 3")}));
        EXPECT_EQ(followed.finished("killed").end.signal, SIGKILL);
        EXPECT_EQ(followed.finished("killed").end.detail, "");
        const auto hog = followed.finished("hog").end;
        EXPECT_EQ(hog.kind, EndKind::kSignalled);
        EXPECT_EQ(hog.signal, SIGKILL);
        EXPECT_EQ(hog.detail,
                  "the kernel's OOM killer (out of memory) killed 1 process of this worker's memory cgroup "
                  "while it ran");
        EXPECT_EQ(followed.finished("next").end.detail, "") << "the step before it was the one";
        EXPECT_EQ(followed.all<language::RunFinished>().at(0).end, language::RunEnd::kCompleted);
    }
    eventually([&] { return cgroup.empty(); }, "the cgroup is empty");
}

TEST(UnkillableStep, IsGivenUpAfterItsKillWaitAndEndsTheRunWithAReason) {
    const TempDir dir;
    WorkerProcess worker{dir.path(), {.kill_wait_ms = 300}};
    auto stuck = shell_case("stuck", "trap '' TERM; echo $$; while :; do sleep 0.01; done");
    stuck.timeout = std::chrono::milliseconds{1500};
    const auto plan = plan_of({stuck, shell_case("never", "true")});
    worker.ask<protocol::LaunchReply>(FrameType::kLaunch, encode(launch_of(kRun, plan)));
    const auto out = dir.path() / "runs/r-kills.1/steps/stuck/stdout";
    eventually([&] { return read_text(out).ends_with("\n"); }, "the step runs");
    // A dead process that somebody else traces is kept from its parent: to the supervisor it is as alive as
    // one that hangs in a driver.
    const pid_t pid = std::stoi(read_text(out));
    if (::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) != 0)
        GTEST_SKIP() << "needs the right to trace a process";
    const auto followed = follow(worker, kRun);
    ::waitpid(pid, nullptr, __WALL);  // lets it go
    const auto end = followed.finished("stuck").end;
    EXPECT_EQ(end.kind, EndKind::kTimedOut);
    EXPECT_EQ(end.detail, "stopped at its wall limit of 1.5 s; unkillable: still there 0.3 s after SIGKILL");
    EXPECT_EQ(followed.all<language::CaseStarted>().size(), 1U) << "no other step shares the host with it";
    const auto finished = followed.all<language::RunFinished>().at(0);
    EXPECT_EQ(finished.end, language::RunEnd::kWorkerError);
    EXPECT_EQ(finished.detail, "a process survived SIGKILL: the host needs somebody to look at it");
}

}  // namespace
}  // namespace nsa::test
