// What a supervised run does: setup, environment, records, gating, cancel, manifest.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "language/hash.hpp"
#include "worker_process.hpp"

namespace nsa::test {
namespace {

using language::EndKind;
using language::RunEnd;
using protocol::FrameType;

class Run : public ::testing::Test {
  protected:
    Followed run(const language::Plan& plan) { return run_plan(worker_, kRun, plan); }
    Followed run(std::vector<language::PlannedCase> cases) { return run(plan_of(std::move(cases))); }
    std::filesystem::path run_dir() const { return dir_.path() / "runs" / "r-run.1"; }
    language::Manifest manifest() const {
        return language::manifest_from_json(boost::json::parse(read_text(run_dir() / "manifest.json")))
            .value();
    }
    std::vector<std::string> manifest_paths() const {
        std::vector<std::string> paths;
        for (const auto& entry : manifest())
            paths.push_back(entry.path);
        return paths;
    }

    const protocol::RunKey kRun = run_key("r-run");
    TempDir dir_;
    WorkerProcess worker_{dir_.path()};
};

TEST_F(Run, EventsAreNumberedFromOneWithoutGapsAndBeginWithIdentityAndFacts) {
    const auto followed = run({shell_case("a", "echo out; echo err >&2")});
    const auto events = followed.events();
    for (std::size_t i = 0; i < events.size(); ++i)
        EXPECT_EQ(events[i].seq, i + 1);
    const auto& started = std::get<language::RunStarted>(events.at(0).body);
    EXPECT_GT(started.pid, 1);
    EXPECT_FALSE(started.boot_id.empty());
    const auto& probed = std::get<language::HostProbed>(events.at(1).body);
    EXPECT_TRUE(probed.facts.contains("kernel"));
    EXPECT_TRUE(probed.facts.contains("gpu_count"));
    EXPECT_TRUE(std::holds_alternative<language::RunFinished>(events.back().body));
    EXPECT_EQ(followed.end.state, protocol::RemoteState::kFinished);
    EXPECT_EQ(followed.end.last_seq, events.size());
    EXPECT_EQ(followed.logs.at("steps/a/stdout"), "out\n");
    EXPECT_EQ(followed.logs.at("steps/a/stderr"), "err\n");
    EXPECT_EQ(followed.journal, read_text(run_dir() / "journal.jsonl"));
}

TEST_F(Run, ACaseHasItsOwnFolderAsCwdAndAMinimalEnvironment) {
    auto planned = shell_case("env[x=1]", "pwd; env");
    planned.env = {{"NSA_USE_FA2", "1"}, {"NSA_RESULTS", "/tmp/elsewhere"}};
    ::setenv("NSA_SECRET_OF_THE_TEST", "1", 1);
    WorkerProcess with_secret{dir_.path()};
    ::unsetenv("NSA_SECRET_OF_THE_TEST");
    const auto followed = run_plan(with_secret, kRun, plan_of({planned}));
    const std::string folder = run_dir() / "steps" / language::case_folder(planned.key);
    const std::string& out = followed.logs.at("steps/" + language::case_folder(planned.key) + "/stdout");
    EXPECT_TRUE(out.starts_with(folder + "\n")) << out;
    EXPECT_NE(out.find("NSA_RESULTS=" + folder + "/results.jsonl\n"), std::string::npos) << out;
    EXPECT_NE(out.find("NSA_ARTIFACTS=" + folder + "\n"), std::string::npos);
    EXPECT_NE(out.find("NSA_USE_FA2=1\n"), std::string::npos);
    EXPECT_NE(out.find("\nPATH="), std::string::npos);
    EXPECT_EQ(out.find("NSA_SECRET_OF_THE_TEST"), std::string::npos);
}

TEST_F(Run, ArgumentsArriveByteForByteAndNoShellSeesThem) {
    const std::vector<std::string> hostile{
        "$(touch pwned)", "; rm -rf /", "`id`", "a b\tc\nd", "'\"\\", "-rf", "*", "~", "ümläut", ""};
    std::vector<std::string> argv{"printf", "%s\\037"};
    argv.insert(argv.end(), hostile.begin(), hostile.end());
    const auto followed = run({argv_case("args", argv)});
    std::string expected;
    for (const auto& argument : hostile)
        expected += argument + "\037";
    EXPECT_EQ(followed.logs.at("steps/args/stdout"), expected);
}

TEST_F(Run, ToolsAreResolvedAndSaidAsExecuted) {
    auto launch = launch_of(kRun, plan_of({argv_case("tool", {"nsa-core", "x"})}));
    launch.tools["nsa-core"] = "/bin/echo";
    worker_.ask<protocol::LaunchReply>(FrameType::kLaunch, encode(launch));
    const auto followed = follow(worker_, kRun);
    EXPECT_EQ(followed.logs.at("steps/tool/stdout"), "x\n");
    EXPECT_EQ(followed.all<language::CaseStarted>().at(0).argv, (std::vector<std::string>{"/bin/echo", "x"}));
}

TEST_F(Run, RecordsComeInChunksAndBadLinesAreNamed) {
    const auto followed = run({shell_case(
        "many",
        R"(i=0; while [ $i -lt 600 ]; do echo "{\"metric\":\"ms\",\"value\":$i,\"unit\":\"ms\",\"sample\":$i}"; i=$((i+1)); done >> $NSA_RESULTS
                   echo 'not json' >> $NSA_RESULTS)")});
    std::size_t records = 0, errors = 0;
    for (const auto& chunk : followed.all<language::CaseRecords>()) {
        EXPECT_LE(chunk.records.size(), 256U);
        for (const auto& record : chunk.records) {
            EXPECT_EQ(std::get<language::Measurement>(record).value, static_cast<double>(records++));
        }
        errors += chunk.errors.size();
    }
    EXPECT_EQ(records, 600U);
    EXPECT_EQ(errors, 1U);
}

TEST_F(Run, ParsersOfThePlanReadTheOutput) {
    auto planned = shell_case("parsed", "echo 'speed: 12.5'");
    language::OutputParser parser;
    parser.kind = language::ParserKind::kRegex;
    parser.pattern = "speed: ([0-9.]+)";
    parser.metric = "speed";
    parser.unit = "tok/s";
    auto absent = parser;
    absent.source = "nowhere.txt";
    planned.parsers = {parser, absent};
    const auto followed = run({planned});
    const auto chunk = followed.all<language::CaseRecords>().at(0);
    ASSERT_EQ(chunk.records.size(), 1U);
    EXPECT_EQ(std::get<language::Measurement>(chunk.records[0]).value, 12.5);
    ASSERT_EQ(chunk.errors.size(), 1U);
    EXPECT_NE(chunk.errors[0].find("nowhere.txt"), std::string::npos);
}

TEST_F(Run, ACaseWhoseNeedFailedIsBlockedAndSoAreItsOwnDependants) {
    auto failing = shell_case("failing", "exit 1"), blocked = shell_case("blocked", "echo ran > ../../ran");
    auto indirect = shell_case("indirect", "true"), free = shell_case("free", "true");
    blocked.needs = {failing.key};
    indirect.needs = {blocked.key};
    const auto followed = run({failing, blocked, indirect, free});
    const auto blocks = followed.all<language::CaseBlocked>();
    ASSERT_EQ(blocks.size(), 2U);
    EXPECT_EQ(blocks[0], (language::CaseBlocked{blocked.key, failing.key}));
    EXPECT_EQ(blocks[1], (language::CaseBlocked{indirect.key, blocked.key}));
    EXPECT_EQ(followed.finished("free").end.kind, EndKind::kExited);
    EXPECT_FALSE(std::filesystem::exists(run_dir() / "ran"));
}

TEST_F(Run, SetupRunsOnceInOrderAndCreatesSkipsIt) {
    auto plan = plan_of({shell_case("case", "cat ../../setup/made")});
    const std::string marker = dir_.path() / "marker";
    plan.setup = {{{"sh", "-c", "echo built > made; echo setup log"}, {}, "", "build"},
                  {{"sh", "-c", "touch " + marker}, {}, marker, "marker"},
                  {{"sh", "-c", "exit 9"}, {}, marker, "skipped: the marker is there"}};
    const auto followed = run(plan);
    const auto setup = followed.all<language::SetupFinished>();
    ASSERT_EQ(setup.size(), 3U);
    EXPECT_EQ(setup[0].title, "build");
    EXPECT_EQ(setup[2].end.exit_code, 0);
    EXPECT_EQ(setup[2].end.detail, "skipped: " + marker + " is there");
    EXPECT_EQ(followed.logs.at("setup/0/stdout"), "setup log\n");
    EXPECT_EQ(followed.logs.at("steps/case/stdout"), "built\n");
}

TEST_F(Run, AFailedSetupEndsTheRunAndSaysWhich) {
    auto plan = plan_of({shell_case("case", "true")});
    plan.setup = {{{"sh", "-c", "echo no compiler >&2; exit 4"}, {}, "", "build"}};
    const auto followed = run(plan);
    EXPECT_TRUE(followed.all<language::CaseStarted>().empty());
    const auto finished = followed.all<language::RunFinished>().at(0);
    EXPECT_EQ(finished.end, RunEnd::kSetupFailed);
    EXPECT_EQ(finished.detail, "setup command 0 (sh) exited with 4");
    EXPECT_EQ(followed.logs.at("setup/0/stderr"), "no compiler\n");
}

TEST_F(Run, ASetupCommandWhoseFolderCannotBeMadeFailsTheSetupAndTheRunStillEndsProperly) {
    auto plan = plan_of({shell_case("case", "true")});
    plan.setup = {{{"mkdir", "1"}, {}, "", "takes the next one's folder"}, {{"true"}, {}, "", "next"}};
    const auto followed = run(plan);
    const auto setup = followed.all<language::SetupFinished>();
    ASSERT_EQ(setup.size(), 2U);
    EXPECT_EQ(setup[1].end.kind, EndKind::kNotStarted);
    EXPECT_NE(setup[1].end.detail.find("setup/1"), std::string::npos) << setup[1].end.detail;
    EXPECT_EQ(followed.end.state, protocol::RemoteState::kFinished);
    EXPECT_EQ(followed.all<language::RunFinished>().at(0).end, RunEnd::kSetupFailed);
    EXPECT_TRUE(std::filesystem::exists(run_dir() / "exit.json"));
}

TEST_F(Run, WhatIsOverIsSeenWhileTheNextCommandRuns) {
    auto plan = plan_of({});
    plan.setup = {{{"true"}, {}, "", ""}, {{"sh", "-c", "echo up; sleep 300"}, {}, "", ""}};
    worker_.ask<protocol::LaunchReply>(FrameType::kLaunch, encode(launch_of(kRun, plan)));
    protocol::Attach request;
    request.run = kRun;
    const auto id = worker_.send(FrameType::kAttach, encode(request));
    std::string journal, log;
    while (log != "up\n") {
        const protocol::Frame frame = worker_.next();
        if (frame.request != id) continue;
        if (frame.type == FrameType::kEvents) journal += frame.payload;
        if (frame.type == FrameType::kLog) log += protocol::decode_log(frame.payload).value().bytes;
    }
    EXPECT_NE(journal.find("host_probed"), std::string::npos);
    EXPECT_NE(journal.find("setup_finished"), std::string::npos);
    worker_.ask<protocol::CancelReply>(FrameType::kCancel, encode(kRun));
    EXPECT_EQ(follow(worker_, kRun).all<language::RunFinished>().at(0).end, RunEnd::kCancelled);
}

TEST_F(Run, SetupHasOneTimeBudget) {
    auto plan = plan_of({shell_case("case", "true")});
    plan.timeouts.setup = std::chrono::milliseconds{1500};
    plan.setup = {{{"sleep", "0.1"}, {}, "", ""}, {{"sleep", "60"}, {}, "", ""}};
    const auto followed = run(plan);
    EXPECT_EQ(followed.all<language::SetupFinished>().at(1).end.kind, EndKind::kTimedOut);
    EXPECT_EQ(followed.all<language::RunFinished>().at(0).end, RunEnd::kSetupFailed);
}

TEST_F(Run, CancelStopsTheCaseAndNothingElseStarts) {
    const auto plan = plan_of({shell_case("long", "echo up; sleep 300"), shell_case("never", "true")});
    worker_.ask<protocol::LaunchReply>(FrameType::kLaunch, encode(launch_of(kRun, plan)));
    eventually([&] { return read_text(run_dir() / "steps/long/stdout") == "up\n"; }, "the case runs");
    const auto reply = worker_.ask<protocol::CancelReply>(FrameType::kCancel, encode(kRun));
    EXPECT_EQ(reply.state, protocol::RemoteState::kRunning);
    const auto followed = follow(worker_, kRun);
    EXPECT_EQ(followed.finished("long").end.kind, EndKind::kCancelled);
    EXPECT_EQ(followed.all<language::CaseStarted>().size(), 1U);
    EXPECT_EQ(followed.all<language::RunFinished>().at(0).end, RunEnd::kCancelled);
    EXPECT_EQ(worker_.ask<protocol::CancelReply>(FrameType::kCancel, encode(kRun)).state,
              protocol::RemoteState::kFinished);
}

TEST_F(Run, ASupervisorToldToStopByTheHostIsNoCancel) {
    const auto reply = worker_.ask<protocol::LaunchReply>(
        FrameType::kLaunch, encode(launch_of(kRun, plan_of({shell_case("long", "echo up; sleep 300")}))));
    eventually([&] { return read_text(run_dir() / "steps/long/stdout") == "up\n"; }, "the case runs");
    ::kill(static_cast<pid_t>(reply.pid), SIGTERM);
    const auto finished = follow(worker_, kRun).all<language::RunFinished>().at(0);
    EXPECT_EQ(finished.end, RunEnd::kWorkerError);
    EXPECT_NE(finished.detail.find("signal 15"), std::string::npos) << finished.detail;
}

TEST_F(Run, ManifestListsLogsResultsAndGlobbedFilesWithTheirHashes) {
    auto planned = shell_case("files",
                              "echo a,b > t.csv; mkdir -p plots; echo p > plots/p.png; echo no > t.tmp; "
                              "echo '{\"fact\":\"x\",\"value\":\"y\"}' > $NSA_RESULTS; echo out");
    planned.artifacts = {"*.csv", "plots/*.png"};
    const auto followed = run({planned});
    EXPECT_EQ(manifest_paths(), (std::vector<std::string>{"steps/files/stdout", "steps/files/stderr",
                                                          "steps/files/results.jsonl",
                                                          "steps/files/plots/p.png", "steps/files/t.csv"}));
    for (const auto& entry : manifest()) {
        const std::string bytes = read_text(run_dir() / entry.path);
        EXPECT_EQ(entry.sha256, sha256_of(bytes)) << entry.path;
        EXPECT_EQ(entry.size, bytes.size()) << entry.path;
    }
    const auto finished = followed.all<language::RunFinished>().at(0);
    EXPECT_EQ(finished.manifest, sha256_of(read_text(run_dir() / "manifest.json")));
    EXPECT_EQ(finished.files, 5U);
    const auto exit = boost::json::parse(read_text(run_dir() / "exit.json")).as_object();
    EXPECT_EQ(exit.at("last_seq").to_number<std::uint64_t>(), followed.end.last_seq);
}

TEST_F(Run, HostileFilesStayOutAndAreNamed) {
    auto planned = shell_case(
        "hostile",
        "ln -s /etc/passwd link.csv; ln /etc/hostname hard.csv 2>/dev/null || (echo x > y; ln y hard.csv); "
        "mkfifo fifo.csv; "
        "printf x > \"$(printf 'new\\nline.csv')\"; printf x > \"$(printf 'bad\\377utf8.csv')\"; "
        "ln -s / root; echo ok > ./-rf.csv; mkdir a; ln -s /etc a/etc; rm stdout; ln -s /etc/passwd stdout");
    planned.artifacts = {"**/*.csv", "**/passwd"};
    const auto followed = run({planned});
    EXPECT_EQ(manifest_paths(), (std::vector<std::string>{"steps/hostile/stderr", "steps/hostile/-rf.csv"}));
    const auto finished = followed.all<language::RunFinished>().at(0);
    EXPECT_EQ(finished.end, RunEnd::kCompleted);
    for (const char* named : {"6 files do not come home", "link.csv", "hard.csv", "fifo.csv",
                              "hostile/stdout", "control characters", "not UTF-8"}) {
        EXPECT_NE(finished.detail.find(named), std::string::npos) << named << " in " << finished.detail;
    }
}

TEST_F(Run, FoldersThatAnEarlierStepPlantedAreNotUsed) {
    auto planter = shell_case("planter", "ln -s /tmp ../victim");
    const auto followed = run({planter, shell_case("victim", "touch here"), shell_case("after", "true")});
    EXPECT_EQ(followed.finished("victim").end.kind, EndKind::kNotStarted);
    EXPECT_EQ(followed.finished("after").end.kind, EndKind::kExited);
    EXPECT_FALSE(std::filesystem::exists("/tmp/here"));
}

TEST_F(Run, AnUnreadablePlanEndsTheRunWithAReason) {
    auto launch = launch_of(kRun, plan_of({}));
    launch.plan_json = R"({"name":7})";
    worker_.ask<protocol::LaunchReply>(FrameType::kLaunch, encode(launch));
    const auto finished = follow(worker_, kRun).all<language::RunFinished>().at(0);
    EXPECT_EQ(finished.end, RunEnd::kWorkerError);
    EXPECT_NE(finished.detail.find("plan"), std::string::npos) << finished.detail;
}

}  // namespace
}  // namespace nsa::test
