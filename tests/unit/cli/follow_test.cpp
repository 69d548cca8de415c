// Following a run: what is shown on the way, and the ways out.
#include "cli/follow.hpp"

#include <csignal>

#include "cli/progress.hpp"
#include "cli/run_text.hpp"
#include "cli_fixture.hpp"

namespace nsa::test {
namespace {

using cli::FollowOptions;
using cli::OnInterrupt;
using cli::Output;
using language::RunState;
using language::Status;

class Follow : public CliTest {
  protected:
    int follow(const FollowOptions& options = {}) {
        return cli::follow(control, console(), RunId{kRun}, options);
    }
};

api::RunView with(api::RunView view, RunState state, std::uint64_t version) {
    view.state = state;
    view.version = version;
    return view;
}

TEST_F(Follow, writes_one_line_per_change_and_the_summary_at_the_end) {
    api::RunView queued = with(running(), RunState::kQueued, 1);
    queued.instance = InstanceName{};
    queued.message = "waits for a ready instance";
    for (api::CaseView& one : queued.cases) {
        one.state = "waiting";
        one.verdict.reset();
        one.seconds = 0;
    }
    api::RunView provisioning = with(queued, RunState::kProvisioning, 2);
    provisioning.instance = InstanceName{"a100"};
    provisioning.message = "";
    know(queued);
    service.upcoming = {provisioning, running(), done(Status::kPartialPass)};
    EXPECT_EQ(follow(), 3);
    EXPECT_EQ(err.str(),
              "14:00:00 QUEUED: waits for a ready instance\n"
              "14:00:00 PROVISIONING on a100\n"
              "14:00:00 RUNNING on a100\n"
              "14:00:00 PASS env 0.8s\n"
              "14:00:00 decode[S=512] running\n"
              "14:00:00 SKIP decode[S=512] 12.3s: no CUDA device is visible\n"
              "14:00:00 DONE PARTIAL PASS\n");
    EXPECT_EQ(out.str(),
              "PARTIAL PASS  fa2_routing  r-0123456789abc  2 cases: 1 PASS, 1 SKIP  took 1m 29s\n"
              "  SKIP decode[S=512]: no CUDA device is visible\n"
              "report: /artifacts/2026-11-23 Test Engineer Report - FA2 Routing v1.md\n");
}

TEST_F(Follow, says_once_what_ended_the_run_and_with_it_its_cases) {
    api::RunView refused = done(Status::kInfrastructure);
    refused.message = "the host does not accept the key";
    for (api::CaseView& one : refused.cases) {
        one.verdict = language::Verdict::kError;
        one.reason = refused.message;
        one.seconds = 0;
    }
    api::RunView before = with(running(), RunState::kProvisioning, 1);
    for (api::CaseView& one : before.cases) {
        one.state = "waiting";
        one.verdict.reset();
        one.seconds = 0;
    }
    know(before);
    service.upcoming = {refused};
    EXPECT_EQ(follow(), 4);
    EXPECT_EQ(err.str(),
              "14:00:00 PROVISIONING on a100\n"
              "14:00:00 ERROR env 0ms\n"
              "14:00:00 ERROR decode[S=512] 0ms\n"
              "14:00:00 DONE NO VERDICT (infrastructure): the host does not accept the key\n");
    EXPECT_EQ(out.str(),
              "NO VERDICT (infrastructure)  fa2_routing  r-0123456789abc  2 cases: 2 ERROR  took 1m 29s\n"
              "  the host does not accept the key\n"
              "report: /artifacts/2026-11-23 Test Engineer Report - FA2 Routing v1.md\n");
}

TEST_F(Follow, prints_only_json_on_out_when_asked_to) {
    know(done(Status::kFail));
    FollowOptions options;
    options.output = Output::kJson;
    EXPECT_EQ(follow(options), 1);
    EXPECT_EQ(out.str().substr(0, 30), "{\n  \"run\": \"r-0123456789abc\",\n");
    EXPECT_EQ(out.str().back(), '\n');
}

TEST_F(Follow, waits_a_moment_for_the_report) {
    api::RunView without = done(Status::kPass);
    without.report_path.clear();
    api::RunView rendered = done(Status::kPass);
    rendered.version = without.version + 1;
    know(without);
    service.upcoming = {rendered};
    EXPECT_EQ(follow(), 0);
    EXPECT_NE(out.str().find("report: /artifacts/"), std::string::npos) << out.str();
}

TEST_F(Follow, draws_a_block_over_itself_on_a_terminal) {
    facts.err_is_tty = true;
    facts.no_colour = true;
    know(running());
    service.upcoming = {done(Status::kPass)};
    EXPECT_EQ(follow(), 0);
    EXPECT_EQ(err.str(),
              "\rRUNNING  r-0123456789abc  fa2_routing  on a100  1m 30s\x1b[K\n"
              "\r  PASS          env                0.8s\x1b[K\n"
              "\r  running       decode[S=512]       0ms\x1b[K\n\x1b[J"
              "\x1b[3A"
              "\rDONE  r-0123456789abc  fa2_routing  on a100  1m 29s\x1b[K\n"
              "\r  PASS          env                0.8s\x1b[K\n"
              "\r  SKIP          decode[S=512]     12.3s  no CUDA device is visible\x1b[K\n\x1b[J");
}

TEST_F(Follow, gives_up_waiting_at_the_timeout_and_leaves_the_run_alone) {
    know(running());
    tick_ms = 5;
    FollowOptions options;
    options.timeout_ms = 20;
    EXPECT_EQ(follow(options), 124);
    EXPECT_TRUE(service.cancelled.empty());
    EXPECT_NE(err.str().find("the wait is over; the run goes on: nsactl status r-0123456789abc --watch\n"),
              std::string::npos);
}

TEST_F(Follow, waits_as_long_as_it_was_told_although_the_clock_is_set) {
    know(running());
    service.upcoming = {done(Status::kPass)};
    wall_step_ms = 3'600'000;
    FollowOptions options;
    options.timeout_ms = 20;
    EXPECT_EQ(follow(options), 0) << err.str();
}

TEST_F(Follow, is_left_by_ctrl_c_with_a_hint_and_without_cancelling) {
    know(running());
    service.on_wait = [] { std::raise(SIGINT); };
    EXPECT_EQ(follow(), 130);
    EXPECT_TRUE(service.cancelled.empty());
    EXPECT_NE(
        err.str().find("the run goes on; follow it with: nsactl status r-0123456789abc --watch, stop it "
                       "with: nsactl cancel r-0123456789abc\n"),
        std::string::npos)
        << err.str();
}

TEST_F(Follow, in_process_warns_at_the_first_ctrl_c_and_cancels_at_the_second) {
    know(running());
    service.on_wait = [] { std::raise(SIGINT); };
    service.on_cancel = [this] { service.upcoming = {done(Status::kCancelled)}; };
    FollowOptions options;
    options.on_interrupt = OnInterrupt::kCancelOnSecond;
    EXPECT_EQ(follow(options), 7);
    EXPECT_EQ(service.cancelled.size(), 1U);
    const std::size_t warned = err.str().find("the run goes on; Ctrl-C again cancels it\n");
    const std::size_t cancelled = err.str().find("cancelling; once more leaves at once\n");
    EXPECT_LT(warned, cancelled) << err.str();
    EXPECT_NE(cancelled, std::string::npos);
}

TEST_F(Follow, in_process_leaves_at_the_third_ctrl_c) {
    know(running());
    service.on_wait = [] { std::raise(SIGINT); };
    FollowOptions options;
    options.on_interrupt = OnInterrupt::kCancelOnSecond;
    EXPECT_EQ(follow(options), 130);
    EXPECT_EQ(service.cancelled.size(), 1U);
}

TEST_F(Follow, survives_a_daemon_that_goes_away_and_comes_back) {
    know(running());
    service.hiccups = {fail(ErrorCode::kUnreachable, "gone"), fail(ErrorCode::kUnreachable, "gone"),
                       fail(ErrorCode::kTimeout, "busy")};
    service.upcoming = {done(Status::kPass)};
    FollowOptions options;
    options.retry = std::chrono::milliseconds{1};
    EXPECT_EQ(follow(options), 0);
    const std::string note = "nsad does not answer; the run is safe, waiting for it to come back\n";
    EXPECT_EQ(err.str().find(note), err.str().rfind(note)) << "said once";
    EXPECT_EQ(err.str().find(note), 0U);
}

TEST_F(Follow, does_not_wait_for_ever_for_a_daemon_that_stays_away) {
    service.failure = fail(ErrorCode::kUnreachable, "no nsad");
    tick_ms = 60'000;
    FollowOptions options;
    options.retry = std::chrono::milliseconds{1};
    EXPECT_EQ(follow(options), 4);
}

TEST_F(Follow, ends_at_once_when_the_run_is_not_there) {
    EXPECT_EQ(follow(), 9);
}

TEST(LiveLines, never_exceed_the_terminal_and_keep_the_running_case_in_sight) {
    api::RunView view;
    view.run = RunId{"r-0123456789abc"};
    view.name = "big";
    view.state = RunState::kRunning;
    view.message = std::string(300, 'm');
    for (int i = 0; i < 200; ++i) {
        api::CaseView one;
        one.key = CaseKey{"case_with_a_rather_long_name[S=" + std::to_string(i) + ",route=dense]"};
        one.state = i < 120 ? "finished" : i == 120 ? "running" : "waiting";
        if (i < 120) one.verdict = language::Verdict::kFail;
        one.reason = std::string(300, 'r');
        one.seconds = i < 120 ? 1 : 0;
        view.cases.push_back(one);
    }
    for (const auto& [columns, rows] : {std::pair{80, 24}, {40, 4}, {200, 50}, {1, 1}}) {
        const auto lines =
            cli::live_lines(view, {{view.cases[120].key, 0}}, 61'000, columns, rows, cli::Paint(false));
        EXPECT_LE(lines.size(), static_cast<std::size_t>(std::max(rows, 4)));
        bool sees_running = false;
        for (const std::string& line : lines) {
            EXPECT_LE(cli::columns_of(line), static_cast<std::size_t>(std::max(columns, 40))) << line;
            sees_running = sees_running || line.find("running ") != std::string::npos;
        }
        EXPECT_TRUE(sees_running) << columns << "x" << rows;
    }
}

}  // namespace
}  // namespace nsa::test
