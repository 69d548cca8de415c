// Worker processes that die at any edge, and what the next `serve` makes of what they left.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <memory>
#include <set>
#include <sstream>

#include "language/hash.hpp"
#include "posix/identity.hpp"
#include "worker_lab/failpoints.hpp"
#include "worker_process.hpp"

namespace nsa::test {
namespace {

using protocol::FrameType;
using protocol::RemoteState;

const protocol::RunKey kRun = run_key("r-crash");

class Crash : public ::testing::Test {
  protected:
    // Passes every edge of a supervisor: setup, a step that reaches SIGKILL, a blocked case, a reserve.
    // At its limit the stubborn step must have set its trap, where its SIGKILL is what a test waits for.
    static language::Plan plan(std::chrono::milliseconds stubborn_limit = std::chrono::milliseconds{400}) {
        auto stubborn = shell_case("stubborn", "trap '' TERM; while :; do sleep 0.01; done");
        stubborn.timeout = stubborn_limit;
        auto blocked = shell_case("blocked", "true");
        blocked.needs = {stubborn.key};
        auto plan = plan_of({shell_case("first", "echo one >> $HOME/first-ran; sleep 0.05"), stubborn,
                             blocked, shell_case("last", "echo end")});
        plan.setup = {{{"true"}, {}, "", ""}};
        return plan;
    }
    static posix::Environment failing_at(std::string_view point) {
        return {{"NSA_FAILPOINT", std::string{point}}};
    }
    // The client does not live to see the answer: serve may be the one that dies.
    static void launch_regardless(WorkerProcess& worker, const language::Plan& plan) {
        try {
            worker.ask<protocol::LaunchReply>(FrameType::kLaunch, encode(launch_of(kRun, plan)));
        } catch (const std::runtime_error&) {
        }
    }
    std::filesystem::path run_dir() const { return home() / "runs/r-crash.1"; }
    std::filesystem::path home() const { return dir_.path(); }
    bool nothing_of_it_lives() const {
        return posix::processes_with_environment("NSA_RUN_DIR=" + run_dir().string()).found.empty();
    }
    std::string journal() const { return read_text(run_dir() / "journal.jsonl"); }
    std::size_t times_in_journal(std::string_view event) const {
        const std::string text = journal(), name = "\"event\":\"" + std::string{event} + "\"";
        std::size_t count = 0;
        for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + 1))
            ++count;
        return count;
    }

    TempDir dir_;
};

// At these no supervisor has been started yet, or the one that was has recorded nothing.
const std::set<std::string_view> kBeforeTheRun{"worker.launch.before_mkdir",      "worker.launch.after_mkdir",
                                               "worker.file.before_rename",       "worker.file.after_rename",
                                               "worker.launch.before_spawn",      "worker.supervisor.locked",
                                               "worker.run_started.before_commit"};
// At these serve dies and the run goes on without it.
const std::set<std::string_view> kServesOwn{"worker.launch.after_spawn", "worker.launch.before_reply"};
// Passed on other ways than a launch: by the tests below.
bool is_of_launch_or_run(std::string_view point) {
    for (const std::string_view other :
         {"worker.put.", "worker.cancel.", "worker.orphans.", "worker.attach.", "worker.fetch."}) {
        if (point.starts_with(other)) return false;
    }
    return true;
}

std::vector<std::string_view> edges_of_launch_and_run() {
    std::vector<std::string_view> edges;
    for (const std::string_view point : worker_lab::kFailpoints) {
        if (is_of_launch_or_run(point)) edges.push_back(point);
    }
    return edges;
}

class CrashAtEdge : public Crash, public ::testing::WithParamInterface<std::string_view> {
  protected:
    bool was_hit() const {
        const std::string line = "\n" + std::string{GetParam()} + "\n";
        return ("\n" + read_text(home() / "hits")).find(line) != std::string::npos;
    }
};

TEST_P(CrashAtEdge, OfALaunchOrARunLosesAndDoublesNothing) {
    posix::Environment also = failing_at(GetParam());
    also["NSA_FAILPOINT_LOG"] = (home() / "hits").string();
    also["HOME"] = home().string();
    WorkerProcess worker{home(), {.program = Program::kLab, .also = also}};
    const bool waits_for_kill = GetParam() == "worker.step.before_kill";
    const auto plan = Crash::plan(std::chrono::milliseconds{waits_for_kill ? 3000 : 400});
    launch_regardless(worker, plan);
    eventually([&] { return was_hit(); }, "the failpoint is passed");

    WorkerProcess again{home(), {.also = {{"HOME", home().string()}}}};
    const auto relaunched =
        again.ask<protocol::LaunchReply>(FrameType::kLaunch, encode(launch_of(kRun, plan)));
    const Followed followed = follow(again, kRun);
    EXPECT_EQ(followed.journal, journal());
    const auto events = followed.events();
    for (std::size_t i = 0; i < events.size(); ++i)
        EXPECT_EQ(events[i].seq, i + 1);
    EXPECT_EQ(followed.all<language::RunStarted>().size(), 1U);
    // Beside a supervisor that serve left on its way to the lock a second one may start; one of them goes.
    if (GetParam() != "worker.launch.after_spawn") {
        EXPECT_EQ(relaunched.already, !kBeforeTheRun.contains(GetParam()));
    }
    EXPECT_EQ(followed.all<language::RunStarted>().at(0).pid, relaunched.pid);
    for (const auto& entry : std::filesystem::directory_iterator{run_dir()}) {
        for (const char* name : {".spec.yaml.", ".tools.json.", ".plan.json."})
            EXPECT_FALSE(entry.path().filename().string().starts_with(name))
                << entry.path() << " of the launch that died";
    }
    const std::string ran = read_text(home() / "first-ran");
    const bool completes = kBeforeTheRun.contains(GetParam()) || kServesOwn.contains(GetParam()) ||
                           GetParam() == "worker.run_finished.after_commit";
    if (completes) {
        EXPECT_EQ(followed.end.state, RemoteState::kFinished);
        EXPECT_EQ(followed.all<language::RunFinished>().size(), 1U);
        EXPECT_EQ(ran, "one\n");
    } else {
        // Nothing of an attempt is run twice: that it died is its result.
        EXPECT_EQ(followed.end.state, RemoteState::kSupervisorDead);
        EXPECT_TRUE(ran.empty() || ran == "one\n") << ran;
    }
    eventually([&] { return nothing_of_it_lives(); }, "nothing of it lives");
}

INSTANTIATE_TEST_SUITE_P(Worker, CrashAtEdge, ::testing::ValuesIn(edges_of_launch_and_run()),
                         [](const auto& edge) {
                             std::string name{edge.param};
                             std::replace(name.begin(), name.end(), '.', '_');
                             return name;
                         });

TEST_F(Crash, OfServeAroundACancelLeavesARunThatTheNextOneCancels) {
    for (const char* point : {"worker.cancel.before_file", "worker.cancel.after_file"}) {
        SCOPED_TRACE(point);
        const TempDir dir;
        WorkerProcess worker{dir.path(), {.program = Program::kLab, .also = failing_at(point)}};
        const auto plan = plan_of({shell_case("long", "echo up; sleep 300"), shell_case("never", "true")});
        worker.ask<protocol::LaunchReply>(FrameType::kLaunch, encode(launch_of(kRun, plan)));
        worker.send(FrameType::kCancel, encode(kRun));
        EXPECT_EQ(worker.wait(), 128 + SIGKILL);
        WorkerProcess again{dir.path()};
        again.ask<protocol::CancelReply>(FrameType::kCancel, encode(kRun));
        const auto followed = follow(again, kRun);
        EXPECT_EQ(followed.all<language::RunFinished>().at(0).end, language::RunEnd::kCancelled);
        EXPECT_LE(followed.all<language::CaseStarted>().size(), 1U);
    }
}

TEST_F(Crash, OfServeInAPutLeavesTheOldFileOrTheNewOne) {
    for (const char* point : {"worker.put.before_rename", "worker.put.after_rename"}) {
        SCOPED_TRACE(point);
        const TempDir dir;
        const std::string bytes(100'000, 'x');
        const protocol::Put put{"tools/tool", bytes.size(), sha256_of(bytes), true, false};
        WorkerProcess worker{dir.path(), {.program = Program::kLab, .also = failing_at(point)}};
        const auto id = worker.send(FrameType::kPut, encode(put));
        worker.send_as(id, FrameType::kPutData, bytes);
        EXPECT_EQ(worker.wait(), 128 + SIGKILL);
        WorkerProcess again{dir.path()};
        const bool there = std::filesystem::exists(dir.path() / "tools/tool");
        EXPECT_EQ(there, std::string_view{point}.ends_with("after_rename"));
        protocol::Put question = put;
        question.only_check = true;
        EXPECT_EQ(again.ask<protocol::PutReply>(FrameType::kPut, encode(question)).existed, there);
    }
}

TEST_F(Crash, OfServeWhileItEndsADeadRunIsMadeGoodByTheNextAttach) {
    for (const char* point : {"worker.attach.found_dead", "worker.orphans.before_kill",
                              "worker.orphans.after_kill", "worker.attach.before_end"}) {
        SCOPED_TRACE(point);
        const TempDir dir;
        WorkerProcess worker{dir.path(), {.program = Program::kLab, .also = failing_at(point)}};
        const auto plan = plan_of({shell_case("case", "echo $$; exec sleep 300")});
        const auto launched =
            worker.ask<protocol::LaunchReply>(FrameType::kLaunch, encode(launch_of(kRun, plan)));
        const auto out = dir.path() / "runs/r-crash.1/steps/case/stdout";
        eventually([&] { return read_text(out).ends_with("\n"); }, "the case runs");
        const pid_t step = std::stoi(read_text(out));
        ::kill(static_cast<pid_t>(launched.pid), SIGKILL);
        EXPECT_THROW(follow(worker, kRun), std::runtime_error);
        EXPECT_EQ(worker.wait(), 128 + SIGKILL);
        WorkerProcess again{dir.path()};
        const auto followed = follow(again, kRun);
        EXPECT_EQ(followed.end.state, RemoteState::kSupervisorDead);
        EXPECT_EQ(followed.logs.at("steps/case/stdout"), std::to_string(step) + "\n");
        eventually([&] { return !process_exists(step); }, "the orphan is killed");
    }
}

TEST_F(Crash, OfASupervisorWithItsStepAliveLeavesEvidenceAndNoProcess) {
    WorkerProcess worker{home()};
    const auto plan = plan_of(
        {shell_case("case", "setsid sleep 300 & echo $! $$; exec sleep 300"), shell_case("never", "true")});
    const auto launched =
        worker.ask<protocol::LaunchReply>(FrameType::kLaunch, encode(launch_of(kRun, plan)));
    const auto out = run_dir() / "steps/case/stdout";
    eventually([&] { return read_text(out).ends_with("\n"); }, "the case runs");
    eventually([&] { return times_in_journal("case_started") == 1; }, "its start is written");
    worker.kill_hard();
    ::kill(static_cast<pid_t>(launched.pid), SIGKILL);

    WorkerProcess again{home()};
    const auto followed = follow(again, kRun);
    EXPECT_EQ(followed.end.state, RemoteState::kSupervisorDead);
    EXPECT_TRUE(std::holds_alternative<language::CaseStarted>(followed.events().back().body))
        << "the journal ends with what was under way";
    EXPECT_EQ(followed.end.last_seq, followed.events().back().seq);
    eventually([&] { return nothing_of_it_lives(); }, "the step and what left its session are killed");
    const std::string log = read_text(run_dir() / "supervisor.log");
    EXPECT_NE(log.find("found the supervisor dead, killed what was left of the run:"), std::string::npos)
        << log;
    // By whatever name: each may have been killed on its way to become sleep.
    std::istringstream pids{read_text(out)};
    for (pid_t pid = 0; pids >> pid;)
        EXPECT_NE(log.find(" " + std::to_string(pid) + " ("), std::string::npos) << pid << " in " << log;
    EXPECT_EQ(times_in_journal("case_started"), 1U) << "nobody but the supervisor writes the journal";
}

TEST_F(Crash, OfASupervisorWhoseStepStartsProcessesMeanwhileLeavesNone) {
    WorkerProcess worker{home()};
    // Two that fork as fast as they can while they are hunted; their children are amid an exec now and then.
    const auto plan = plan_of({shell_case(
        "case",
        "breed() { i=0; while [ $i -lt 400 ]; do setsid sleep 300 & i=$((i+1)); done; exec sleep 300; }\n"
        "breed & breed & echo up; wait")});
    const auto launched =
        worker.ask<protocol::LaunchReply>(FrameType::kLaunch, encode(launch_of(kRun, plan)));
    const auto out = run_dir() / "steps/case/stdout";
    eventually([&] { return read_text(out) == "up\n"; }, "the case runs");
    ::kill(static_cast<pid_t>(launched.pid), SIGKILL);
    EXPECT_EQ(follow(worker, kRun).end.state, RemoteState::kSupervisorDead);
    EXPECT_TRUE(nothing_of_it_lives()) << read_text(run_dir() / "supervisor.log");
}

TEST_F(Crash, OfTheWholeHostIsTheRunsEndWhoeverHasItsPidsNow) {
    const ServeStart before{.program = Program::kLab, .also = {{"NSA_LAB_BOOT_ID", "first-boot"}}};
    auto worker = std::make_unique<WorkerProcess>(home(), before);
    const auto plan = plan_of({shell_case("case", "echo $$; exec sleep 300")});
    const auto launched =
        worker->ask<protocol::LaunchReply>(FrameType::kLaunch, encode(launch_of(kRun, plan)));
    EXPECT_EQ(launched.boot_id, "first-boot");
    const auto out = run_dir() / "steps/case/stdout";
    eventually([&] { return read_text(out).ends_with("\n"); }, "the case runs");
    // The power goes: everything at once, and no one to record it. The supervisor is left alive as the
    // process that has its pid after the boot: it must not be taken for it.
    ::kill(static_cast<pid_t>(launched.pid), SIGSTOP);
    worker->kill_hard();
    const std::string journal_before = journal();

    WorkerProcess again{home(), {.program = Program::kLab, .also = {{"NSA_LAB_BOOT_ID", "second-boot"}}}};
    const auto followed = follow(again, kRun);
    EXPECT_EQ(followed.end.state, RemoteState::kHostRebooted);
    EXPECT_EQ(followed.journal, journal_before);
    EXPECT_EQ(again.ask<protocol::CancelReply>(FrameType::kCancel, encode(kRun)).state,
              RemoteState::kHostRebooted);
    const pid_t step = std::stoi(read_text(out));
    for (const pid_t stranger : {static_cast<pid_t>(launched.pid), step})
        EXPECT_TRUE(process_exists(stranger)) << "by now, and not ours to kill";
    EXPECT_TRUE(again.ask<protocol::LaunchReply>(FrameType::kLaunch, encode(launch_of(kRun, plan))).already);
    // The next attempt is a run of its own.
    const auto next = run_key("r-crash", 2);
    again.ask<protocol::LaunchReply>(FrameType::kLaunch,
                                     encode(launch_of(next, plan_of({shell_case("case", "true")}))));
    EXPECT_EQ(follow(again, next).end.state, RemoteState::kFinished);
    ::kill(static_cast<pid_t>(launched.pid), SIGKILL);
    ::kill(step, SIGKILL);
}

TEST_F(Crash, BetweenTwoLaunchesOfOneAttemptStartsOneSupervisorOnly) {
    // The first holds the launch lock, stopped at the edge before its supervisor; the second waits for it.
    posix::Environment paused = failing_at("worker.launch.before_spawn=pause");
    paused["NSA_FAILPOINT_LOG"] = (home() / "hits").string();
    WorkerProcess first{home(), {.program = Program::kLab, .also = paused}};
    const std::string request = encode(launch_of(kRun, plan_of({shell_case("case", "echo ran")})));
    const auto asked_first = first.send(FrameType::kLaunch, request);
    eventually([&] { return read_text(home() / "hits").ends_with("before_spawn\n"); },
               "the first is at the edge");
    WorkerProcess second{home()};
    const auto asked_second = second.send(FrameType::kLaunch, request);
    EXPECT_EQ(second.answer(second.send(FrameType::kPing, "{}")).payload, "{}");
    ::kill(first.pid(), SIGCONT);
    const auto one = WorkerProcess::read_reply<protocol::LaunchReply>(first.answer(asked_first));
    const auto other = WorkerProcess::read_reply<protocol::LaunchReply>(second.answer(asked_second));
    EXPECT_FALSE(one.already);
    EXPECT_TRUE(other.already);
    EXPECT_EQ(one.pid, other.pid);
    EXPECT_EQ(follow(second, kRun).logs.at("steps/case/stdout"), "ran\n");
    EXPECT_EQ(times_in_journal("run_started"), 1U);
}

TEST_F(Crash, OfALinkThatDeliversALaunchLateDoesNotReviveAStaleAttempt) {
    WorkerProcess worker{home()};
    const auto plan = plan_of({shell_case("case", "true")});
    const auto second = run_key("r-crash", 2), other_run = run_key("r-crash2", 1);
    worker.ask<protocol::LaunchReply>(FrameType::kLaunch, encode(launch_of(second, plan)));
    const Error stale = worker.refused(FrameType::kLaunch, encode(launch_of(kRun, plan)));
    EXPECT_EQ(stale.code, ErrorCode::kConflict);
    EXPECT_EQ(stale.text, "attempt 1 is stale: attempt 2 of this run was launched here");
    EXPECT_FALSE(std::filesystem::exists(run_dir() / "journal.jsonl"));
    EXPECT_FALSE(
        worker.ask<protocol::LaunchReply>(FrameType::kLaunch, encode(launch_of(other_run, plan))).already);
    EXPECT_EQ(follow(worker, second).end.state, RemoteState::kFinished);
    // One that was launched before is still reported, not refused: whoever asks learns what became of it.
    const auto third = run_key("r-crash", 3);
    worker.ask<protocol::LaunchReply>(FrameType::kLaunch, encode(launch_of(third, plan)));
    EXPECT_TRUE(
        worker.ask<protocol::LaunchReply>(FrameType::kLaunch, encode(launch_of(second, plan))).already);
}

}  // namespace
}  // namespace nsa::test
