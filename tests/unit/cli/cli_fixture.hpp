// nsactl's verbs against a FakeService, with strings for streams and a clock of our own.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <sstream>

#include "cli/commands.hpp"
#include "fake_service.hpp"
#include "support/temp_dir.hpp"

namespace nsa::test {

class CliTest : public ::testing::Test {
  protected:
    CliTest() : service(io.get_executor()), control(io, service) {}

    cli::Console console() {
        return cli::Console(
            out, err, in, facts, [this] { return now_ms += wall_step_ms; },
            [this] { return steady_ms += tick_ms; });
    }
    std::string write(const std::string& name, const std::string& text) const {
        write_file(folder / name, text);
        return (folder / name).string();
    }

    // A run of two cases that is being worked on; `done` is its end with that status.
    static api::RunView running() {
        api::RunView view;
        view.run = RunId{"r-0123456789abc"};
        view.name = "fa2_routing";
        view.subject = "FA2 Routing";
        view.state = language::RunState::kRunning;
        view.instance = InstanceName{"a100"};
        view.created_ms = kNow - 90'000;
        view.started_ms = kNow - 80'000;
        view.version = 5;
        api::CaseView env, decode;
        env.key = CaseKey{"env"};
        env.kind = "env_check";
        env.state = "finished";
        env.verdict = language::Verdict::kPass;
        env.seconds = 0.84;
        decode.key = CaseKey{"decode[S=512]"};
        decode.kind = "decode_bench";
        decode.state = "running";
        view.cases = {env, decode};
        return view;
    }
    static api::RunView done(language::Status status) {
        api::RunView view = running();
        view.state = language::RunState::kDone;
        view.reason = language::Reason::kCompleted;
        view.status = status;
        view.finished_ms = kNow - 1'500;
        view.version = 6;
        view.cases[1].state = "finished";
        view.cases[1].verdict = language::Verdict::kSkip;
        view.cases[1].reason = "no CUDA device is visible";
        view.cases[1].seconds = 12.3;
        view.report_path = "/artifacts/2026-11-23 Test Engineer Report - FA2 Routing v1.md";
        return view;
    }
    void know(const api::RunView& view) { service.runs[view.run] = view; }

    static constexpr std::int64_t kNow = 1'795'442'400'000;  // 2026-11-23 14:00:00 UTC
    static constexpr char kRun[] = "r-0123456789abc";

    boost::asio::io_context io{1};
    FakeService service;
    cli::Control control;
    TempDir folder;
    std::ostringstream out, err;
    std::istringstream in;
    cli::TerminalFacts facts;
    std::int64_t now_ms = kNow, wall_step_ms = 0;  // the step: somebody sets the clock at every look
    std::int64_t steady_ms = 1'000, tick_ms = 0;
};

}  // namespace nsa::test
