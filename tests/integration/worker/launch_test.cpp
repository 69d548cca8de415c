// Launch is idempotent: the run directory is the lock.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>

#include <fstream>
#include <memory>
#include <set>

#include "posix/identity.hpp"
#include "worker_process.hpp"

namespace nsa::test {
namespace {

using protocol::FrameType;
using protocol::RemoteState;

class Launch : public ::testing::Test {
  protected:
    protocol::LaunchReply launch(WorkerProcess& worker, std::string script = "sleep 300") {
        return worker.ask<protocol::LaunchReply>(
            FrameType::kLaunch, encode(launch_of(kRun, plan_of({shell_case("case", std::move(script))}))));
    }
    void stop(WorkerProcess& worker) {
        worker.ask<protocol::CancelReply>(FrameType::kCancel, encode(kRun));
        EXPECT_EQ(follow(worker, kRun).end.state, RemoteState::kFinished);
    }

    // What the descriptors of a process lead to: "/dev/null", "pipe:[4242]".
    static std::set<std::string> open_files(const std::string& proc) {
        std::set<std::string> names;
        for (const auto& fd : std::filesystem::directory_iterator{proc + "/fd"}) {
            std::error_code closed_meanwhile;
            names.insert(std::filesystem::read_symlink(fd.path(), closed_meanwhile));
        }
        return names;
    }

    const protocol::RunKey kRun = run_key("r-launch");
    TempDir dir_;
    WorkerProcess worker_{dir_.path()};
};

TEST_F(Launch, RepliesWithTheIdentityOfADetachedSupervisor) {
    const auto reply = launch(worker_);
    EXPECT_FALSE(reply.already);
    const auto identity = posix::identity_of(static_cast<pid_t>(reply.pid));
    ASSERT_TRUE(identity);
    EXPECT_EQ(identity->start_ticks, reply.start_ticks);
    EXPECT_EQ(identity->boot_id, reply.boot_id);
    EXPECT_EQ(::getsid(static_cast<pid_t>(reply.pid)), reply.pid) << "a session of its own";
    // Once the case runs, the pipes of the probe's own commands are closed.
    eventually([&] { return std::filesystem::exists(dir_.path() / "runs/r-launch.1/steps/case/stdout"); },
               "the case runs");
    const std::string proc = "/proc/" + std::to_string(reply.pid);
    EXPECT_EQ(std::filesystem::read_symlink(proc + "/fd/0"), "/dev/null");
    EXPECT_EQ(std::filesystem::read_symlink(proc + "/fd/1"), "/dev/null");
    // Serve's own pipes lead to the orchestrator: one held by a supervisor would keep that from seeing its
    // end.
    const std::set<std::string> ours = open_files("/proc/" + std::to_string(worker_.pid()));
    for (const auto& name : open_files(proc))
        EXPECT_FALSE(name.starts_with("pipe:") && ours.contains(name)) << name;
    stop(worker_);
}

TEST_F(Launch, ASecondLaunchOnlyReports) {
    const auto first = launch(worker_);
    WorkerProcess other{dir_.path()};
    const auto second = launch(other);
    EXPECT_TRUE(second.already);
    EXPECT_EQ(second.pid, first.pid);
    EXPECT_EQ(second.start_ticks, first.start_ticks);
    stop(worker_);
    EXPECT_TRUE(launch(other).already) << "a finished run is not run again";
    EXPECT_EQ(follow(other, kRun).all<language::RunStarted>().size(), 1U);
}

TEST_F(Launch, ConcurrentLaunchesStartOneSupervisor) {
    std::vector<std::unique_ptr<WorkerProcess>> workers;
    for (int i = 0; i < 4; ++i)
        workers.push_back(std::make_unique<WorkerProcess>(dir_.path()));
    const std::string payload = encode(launch_of(kRun, plan_of({shell_case("case", "sleep 300")})));
    std::vector<std::uint32_t> requests;
    for (auto& worker : workers)
        requests.push_back(worker->send(FrameType::kLaunch, payload));
    std::set<std::int64_t> pids;
    int started = 0;
    for (std::size_t i = 0; i < workers.size(); ++i) {
        const auto reply = WorkerProcess::read_reply<protocol::LaunchReply>(workers[i]->answer(requests[i]));
        started += reply.already ? 0 : 1;
        pids.insert(reply.pid);
    }
    EXPECT_EQ(pids.size(), 1U);
    EXPECT_EQ(started, 1);
    stop(worker_);
}

TEST_F(Launch, ALaunchThatDiedBeforeItsSupervisorIsTakenUpAgain) {
    std::filesystem::create_directories(dir_.path() / "runs" / "r-launch.1");
    EXPECT_EQ(follow(worker_, kRun).end.state, RemoteState::kUnknownRun);
    EXPECT_FALSE(launch(worker_, "true").already);
    EXPECT_EQ(follow(worker_, kRun).finished("case").end.exit_code, 0);
}

TEST_F(Launch, ADirectoryRunsOnce) {
    const auto reply = launch(worker_, "true");
    follow(worker_, kRun);
    eventually([&] { return !process_exists(static_cast<pid_t>(reply.pid)); },
               "the first supervisor is gone");
    const std::string journal = read_text(dir_.path() / "runs/r-launch.1/journal.jsonl");
    const std::string command =
        std::string{NSA_WORKER_PATH} + " run " + (dir_.path() / "runs/r-launch.1").string() + " 2>&1";
    FILE* again = ::popen(command.c_str(), "r");
    ASSERT_NE(again, nullptr);
    std::string said(1000, '\0');
    said.resize(std::fread(said.data(), 1, said.size(), again));
    EXPECT_NE(::pclose(again), 0);
    EXPECT_NE(said.find("a run directory runs once"), std::string::npos) << said;
    EXPECT_EQ(read_text(dir_.path() / "runs/r-launch.1/journal.jsonl"), journal);
}

TEST_F(Launch, AttemptsAreRunsOfTheirOwnAndThoseThatAreNotFinishedAreListed) {
    for (int attempt : {1, 2}) {
        const auto plan = plan_of({shell_case("case", attempt == 1 ? "true" : "sleep 300")});
        worker_.ask<protocol::LaunchReply>(FrameType::kLaunch,
                                           encode(launch_of(run_key("r-launch", attempt), plan)));
        if (attempt == 1) follow(worker_, run_key("r-launch", attempt));
    }
    std::filesystem::create_directories(dir_.path() / "runs" / "not a run");
    const auto runs = worker_.ask<std::vector<protocol::RunListing>>(FrameType::kListRuns, "{}");
    ASSERT_EQ(runs.size(), 1U);
    EXPECT_EQ(runs[0].run.attempt.value, 2);
    EXPECT_EQ(runs[0].state, RemoteState::kRunning);
    worker_.ask<protocol::CancelReply>(FrameType::kCancel, encode(run_key("r-launch", 2)));
    follow(worker_, run_key("r-launch", 2));
}

TEST_F(Launch, AKilledSupervisorIsFoundDeadAndItsCaseDoesNotOutliveThat) {
    const auto reply = launch(worker_, "echo $$; exec sleep 300");
    const auto out = dir_.path() / "runs/r-launch.1/steps/case/stdout";
    eventually([&] { return read_text(out).ends_with("\n"); }, "the case runs");
    const pid_t step = std::stoi(read_text(out));
    ASSERT_TRUE(process_exists(step));
    ::kill(static_cast<pid_t>(reply.pid), SIGKILL);
    const auto followed = follow(worker_, kRun);
    EXPECT_EQ(followed.end.state, RemoteState::kSupervisorDead);
    EXPECT_EQ(followed.logs.at("steps/case/stdout"), std::to_string(step) + "\n");
    eventually([&] { return !process_exists(step); }, "the orphan is killed");
    EXPECT_EQ(worker_.ask<protocol::CancelReply>(FrameType::kCancel, encode(kRun)).state,
              RemoteState::kSupervisorDead);
    EXPECT_TRUE(launch(worker_).already) << "a dead attempt is evidence, not a reason to run it again";
}

TEST_F(Launch, AnotherBootIdMeansThatTheHostWasRebooted) {
    launch(worker_, "true");
    follow(worker_, kRun);
    // The journal of a run that was cut short by a reboot: same host, another boot id, no end.
    const auto path = dir_.path() / "runs/r-launch.1/journal.jsonl";
    language::Event first =
        language::event_from_line(read_text(path).substr(0, read_text(path).find('\n'))).value();
    std::get<language::RunStarted>(first.body).boot_id = "00000000-0000-0000-0000-000000000000";
    std::ofstream{path, std::ios::trunc} << language::to_line(first);
    const auto followed = follow(worker_, kRun);
    EXPECT_EQ(followed.end.state, RemoteState::kHostRebooted);
    EXPECT_EQ(followed.end.last_seq, 1U);
}

}  // namespace
}  // namespace nsa::test
