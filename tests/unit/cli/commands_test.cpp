// The verbs: what they print and how they exit.
#include "cli_fixture.hpp"
#include "engines/host_key.hpp"
#include "language/hash.hpp"

namespace nsa::test {
namespace {

using cli::Output;
using language::Status;

class Commands : public CliTest {};

TEST_F(Commands, status_exits_with_the_code_of_the_run) {
    const std::pair<Status, int> rows[] = {{Status::kPass, 0},        {Status::kFail, 1},
                                           {Status::kPartialPass, 3}, {Status::kInfrastructure, 4},
                                           {Status::kNothingRan, 5},  {Status::kInconclusive, 6},
                                           {Status::kCancelled, 7}};
    for (const auto& [status, code] : rows) {
        know(done(status));
        EXPECT_EQ(cli::status(control, console(), {kRun, false}, Output::kTable), code);
        EXPECT_EQ(cli::status(control, console(), {kRun, true}, Output::kTable), code) << "watching";
        EXPECT_EQ(cli::status(control, console(), {kRun, false}, Output::kJson), code);
    }
    know(running());
    EXPECT_EQ(cli::status(control, console(), {kRun, false}, Output::kTable), 8);
    EXPECT_EQ(cli::status(control, console(), {"r-zzzzzzzzzzzzz", false}, Output::kTable), 9);
    EXPECT_EQ(err.str().substr(err.str().rfind("nsactl")), "nsactl: run r-zzzzzzzzzzzzz: no such run\n");
}

TEST_F(Commands, status_shows_the_run_and_its_cases) {
    know(done(Status::kPartialPass));
    cli::status(control, console(), {kRun, false}, Output::kTable);
    EXPECT_EQ(out.str(),
              "r-0123456789abc  fa2_routing  DONE  PARTIAL PASS\n"
              "  subject   FA2 Routing\n"
              "  instance  a100, attempt 1\n"
              "  created   2026-11-23 13:58:30 UTC, 1m ago\n"
              "  took      1m 29s\n"
              "  reason    completed\n"
              "  report    /artifacts/2026-11-23 Test Engineer Report - FA2 Routing v1.md\n"
              "\n"
              "CASE           KIND          VERDICT   TIME  NOTE\n"
              "env            env_check     PASS      0.8s\n"
              "decode[S=512]  decode_bench  SKIP     12.3s  no CUDA device is visible\n");
}

TEST_F(Commands, status_is_coloured_on_a_terminal_unless_told_not_to) {
    know(done(Status::kFail));
    facts.out_is_tty = true;
    cli::status(control, console(), {kRun, false}, Output::kTable);
    EXPECT_NE(out.str().find("\x1b[31mFAIL\x1b[0m"), std::string::npos) << out.str();
    facts.no_colour = true;
    out.str("");
    cli::status(control, console(), {kRun, false}, Output::kTable);
    EXPECT_EQ(out.str().find('\x1b'), std::string::npos);
}

TEST_F(Commands, hostile_text_of_a_run_does_not_reach_the_terminal) {
    api::RunView view = done(Status::kFail);
    view.message = "\x1b[2J";
    view.cases[0].reason = "a\nb\x1b]52;c;x\x07";
    know(view);
    cli::status(control, console(), {kRun, false}, Output::kTable);
    EXPECT_EQ(out.str().find('\x1b'), std::string::npos);
    EXPECT_NE(out.str().find("\\x1b[2J"), std::string::npos);
}

TEST_F(Commands, ps_lists_runs_in_aligned_columns) {
    know(running());
    api::RunView other = done(Status::kPass);
    other.run = RunId{"r-1123456789abc"};
    other.instance = InstanceName{};
    know(other);
    EXPECT_EQ(cli::ps(control, console(), {20}, Output::kTable), 0);
    EXPECT_EQ(out.str(),
              "RUN              EXPERIMENT   STATE    STATUS  INSTANCE  CREATED    TOOK\n"
              "r-0123456789abc  fa2_routing  RUNNING  -       a100      1m ago   1m 30s\n"
              "r-1123456789abc  fa2_routing  DONE     PASS    -         1m ago   1m 29s\n");
}

TEST_F(Commands, ps_of_nothing_says_what_to_do) {
    EXPECT_EQ(cli::ps(control, console(), {20}, Output::kTable), 0);
    EXPECT_EQ(out.str(), "no runs yet; submit one with: nsactl submit SPEC\n");
    out.str("");
    cli::ps(control, console(), {20}, Output::kJson);
    EXPECT_EQ(out.str(), "[]\n");
}

TEST_F(Commands, a_run_may_be_named_by_its_start_or_as_the_last) {
    know(running());
    EXPECT_EQ(cli::find_run(control, "r-012").value(), RunId{kRun});
    EXPECT_EQ(cli::find_run(control, "last").value(), RunId{kRun});
    EXPECT_EQ(cli::find_run(control, "r-9").error().code, ErrorCode::kNotFound);
    EXPECT_EQ(cli::find_run(control, "../x").error().code, ErrorCode::kUsage);
    api::RunView other = running();
    other.run = RunId{"r-0199999999999"};
    know(other);
    EXPECT_EQ(cli::find_run(control, "r-01").error().text,
              "2 runs start so, r-0123456789abc and r-0199999999999 among them; give more of the id");
}

TEST_F(Commands, without_a_daemon_each_verb_fails_as_infrastructure_and_says_why) {
    service.failure = fail(ErrorCode::kUnreachable, "no nsad at /s; start it with `nsad`");
    EXPECT_EQ(cli::ps(control, console(), {20}, Output::kTable), 4);
    EXPECT_EQ(err.str(), "nsactl: no nsad at /s; start it with `nsad`\n");
    EXPECT_EQ(cli::status(control, console(), {kRun, false}, Output::kTable), 4);
    EXPECT_EQ(cli::cancel(control, console(), {kRun}, Output::kTable), 4);
    EXPECT_EQ(cli::instance_list(control, console(), Output::kTable), 4);
    EXPECT_EQ(out.str(), "");
}

TEST_F(Commands, cancel_says_what_happens) {
    know(running());
    EXPECT_EQ(cli::cancel(control, console(), {kRun}, Output::kTable), 0);
    EXPECT_EQ(service.cancelled, std::vector<RunId>{RunId{kRun}});
    know(done(Status::kPass));
    cli::cancel(control, console(), {kRun}, Output::kTable);
    EXPECT_EQ(out.str(),
              "r-0123456789abc is being cancelled; it is RUNNING now\n"
              "r-0123456789abc is over: PASS\n");
}

TEST_F(Commands, logs_of_one_case_are_its_bytes_and_nothing_else) {
    know(done(Status::kPass));
    const std::string bytes{"one\n\x1b[31mtwo\0three", 18};
    service.logs[{CaseKey{"decode[S=512]"}, "stdout"}] = bytes;
    service.logs[{CaseKey{"decode[S=512]"}, "stderr"}] = "oops\n";
    EXPECT_EQ(cli::logs(control, console(), {kRun, "decode", false, false}), 0);
    EXPECT_EQ(out.str(), bytes);
    out.str("");
    EXPECT_EQ(cli::logs(control, console(), {kRun, "decode[S=512]", true, true}), 0);
    EXPECT_EQ(out.str(), "oops\n");
    out.str("");
    facts.out_is_tty = true;
    cli::logs(control, console(), {kRun, "decode", false, false});
    EXPECT_EQ(out.str(), "one\n\\x1b[31mtwo\\x00three");
}

TEST_F(Commands, logs_of_all_cases_have_headings_and_skip_what_never_ran) {
    api::RunView view = done(Status::kPass);
    api::CaseView blocked;
    blocked.key = CaseKey{"train"};
    blocked.state = "blocked";
    view.cases.push_back(blocked);
    know(view);
    service.logs[{CaseKey{"env"}, "stdout"}] = "a\n";
    service.logs[{CaseKey{"decode[S=512]"}, "stdout"}] = "b\n";
    EXPECT_EQ(cli::logs(control, console(), {kRun, "", false, false}), 0);
    EXPECT_EQ(out.str(), "==> env <==\na\n\n==> decode[S=512] <==\nb\n");
}

TEST_F(Commands, logs_of_a_case_that_is_not_there_list_those_that_are) {
    know(running());
    EXPECT_EQ(cli::logs(control, console(), {kRun, "decod", false, false}), 9);
    EXPECT_EQ(err.str(),
              "nsactl: run r-0123456789abc, case decod: no such case; cases are env, decode[S=512]\n");
}

TEST_F(Commands, logs_follow_a_case_from_before_its_start_to_its_end) {
    api::RunView waiting = running();
    waiting.cases[1].state = "waiting";
    know(waiting);
    api::RunView started = running();
    started.version = 6;
    service.upcoming = {started};
    const CaseKey key{"decode[S=512]"};
    service.logs[{key, "stdout"}] = "first\n";
    service.logs_complete = false;
    int waits = 0;
    service.on_log_wait = [&] { service.append_log(key, "line\n", ++waits == 2); };
    EXPECT_EQ(cli::logs(control, console(), {kRun, "decode", true, false}), 0);
    EXPECT_EQ(out.str(), "first\nline\nline\n");
}

TEST_F(Commands, logs_follow_a_case_into_the_next_attempt_and_lose_nothing_of_it) {
    know(running());
    const CaseKey key{"decode[S=512]"};
    service.logs[{key, "stdout"}] = "the first attempt's, which is longer\n";
    service.logs_complete = false;
    service.on_log_wait = [&] {
        service.log_attempt = Attempt{2};
        service.logs[{key, "stdout"}] = "second\n";
        service.append_log(key, "", true);
    };
    EXPECT_EQ(cli::logs(control, console(), {kRun, "decode", true, false}), 0);
    EXPECT_EQ(out.str(), "the first attempt's, which is longer\nsecond\n");
    EXPECT_EQ(err.str(), "attempt 2 of the run; the log of decode[S=512] from its beginning:\n");
}

TEST_F(Commands, logs_of_the_set_up_are_counted_like_their_folders) {
    know(done(Status::kInfrastructure));
    service.logs[{CaseKey{"setup/0"}, "stderr"}] = "built\n";
    service.logs[{CaseKey{"setup/1"}, "stderr"}] = "no nvcc\n";
    EXPECT_EQ(cli::logs(control, console(), {kRun, "1", false, true, true}), 0);
    EXPECT_EQ(out.str(), "no nvcc\n");
    out.str("");
    EXPECT_EQ(cli::logs(control, console(), {kRun, "", false, true, true}), 0);
    EXPECT_EQ(out.str(), "==> set-up command 0 <==\nbuilt\n\n==> set-up command 1 <==\nno nvcc\n");
    out.str("");
    EXPECT_EQ(cli::logs(control, console(), {kRun, "2", false, true, true}), 9);
    EXPECT_EQ(cli::logs(control, console(), {kRun, "-1", false, true, true}), 2);
    EXPECT_EQ(out.str(), "");
}

TEST_F(Commands, report_prints_its_paths_or_itself) {
    know(done(Status::kPartialPass));
    service.report_view.markdown_path = write("report.md", "# Title\n\n| a |\n");
    service.report_view.html_path = "/r.html";
    service.report_view.json_path = "/r.json";
    service.report_view.status = Status::kPartialPass;
    EXPECT_EQ(cli::report(control, console(), {kRun, false}, Output::kTable), 3);
    EXPECT_EQ(out.str(), service.report_view.markdown_path + "\n/r.html\n/r.json\n");
    out.str("");
    EXPECT_EQ(cli::report(control, console(), {kRun, true}, Output::kTable), 3);
    EXPECT_EQ(out.str(), "# Title\n\n| a |\n");
}

TEST_F(Commands, report_of_an_unfinished_run_exits_as_not_finished) {
    know(running());
    service.report_error = fail(ErrorCode::kConflict, "the run is RUNNING; a report needs DONE", "run x");
    EXPECT_EQ(cli::report(control, console(), {kRun, false}, Output::kTable), 8);
    EXPECT_EQ(err.str(), "nsactl: run x: the run is RUNNING; a report needs DONE\n");
}

TEST_F(Commands, pull_copies_each_file_when_its_hash_holds) {
    know(done(Status::kPass));
    api::ArtifactView artifact;
    artifact.path = "steps/decode/decode.csv";
    artifact.stored_at = write("stored", "S,ms\n512,3.2\n");
    artifact.size = 13;
    artifact.sha256 = sha256_of("S,ms\n512,3.2\n");
    service.artifact_list = {artifact};
    const std::string into = (folder / "out").string();
    EXPECT_EQ(cli::pull(control, console(), {kRun, into}), 0);
    EXPECT_EQ(out.str(), "1 file, 13 B, to " + into + "\n");
    EXPECT_EQ(read_file(folder / "out/steps/decode/decode.csv"), "S,ms\n512,3.2\n");

    service.artifact_list[0].sha256 = sha256_of("other");
    EXPECT_EQ(cli::pull(control, console(), {kRun, (folder / "bad").string()}), 4);
    EXPECT_FALSE(std::filesystem::exists(folder / "bad/steps/decode/decode.csv"));
    EXPECT_FALSE(std::filesystem::exists(folder / "bad/steps/decode/decode.csv.part"));
    service.artifact_list[0].path = "../escape";
    EXPECT_EQ(cli::pull(control, console(), {kRun, into}), 4);
    EXPECT_FALSE(std::filesystem::exists(folder / "escape"));
}

TEST_F(Commands, artifacts_are_listed_with_size_and_hash) {
    know(done(Status::kPass));
    api::ArtifactView artifact;
    artifact.path = "steps/env/stdout";
    artifact.size = 2048;
    artifact.sha256 = Sha256{std::string(64, 'a')};
    service.artifact_list = {artifact};
    EXPECT_EQ(cli::artifacts(control, console(), {kRun}, Output::kTable), 0);
    EXPECT_EQ(out.str(),
              "PATH                 SIZE  SHA256\n"
              "steps/env/stdout  2.0 KiB  " +
                  std::string(64, 'a') + "\n");
}

}  // namespace
}  // namespace nsa::test
