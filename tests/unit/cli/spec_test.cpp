// validate and plan: what they say about good and bad experiments.
#include "cli/dispatch.hpp"
#include "cli_fixture.hpp"

namespace nsa::test {
namespace {

using cli::Output;

constexpr char kGood[] =
    "version: 1\n"
    "name: smoke\n"
    "subject: Smoke test\n"
    "steps:\n"
    "  - id: count\n"
    "    kind: command\n"
    "    run: [sh, -c, 'echo 1']\n"
    "    timeout: 90s\n"
    "    metrics:\n"
    "      - {parse: regex, pattern: '([0-9]+)', metric: count, unit: '1'}\n"
    "    checks:\n"
    "      - count >= 1\n";

class Specs : public CliTest {};

TEST_F(Specs, that_are_valid_are_counted) {
    const std::string file = write("good.yaml", kGood);
    EXPECT_EQ(cli::validate(console(), {{file}}, Output::kTable), 0) << err.str();
    EXPECT_EQ(out.str(), file + ": valid: 1 step, 1 case, 1 check\n");
}

TEST_F(Specs, that_are_wrong_are_reported_with_line_column_and_suggestion) {
    std::string bad = kGood;
    bad.replace(bad.find("subject:"), 8, "subjct:");
    const std::string file = write("bad.yaml", bad);
    const std::string good = write("good.yaml", kGood);
    EXPECT_EQ(cli::validate(console(), {{file, good}}, Output::kTable), 2);
    EXPECT_TRUE(err.str().starts_with(file + ":3:1: unknown key 'subjct'")) << err.str();
    EXPECT_NE(err.str().find("did you mean 'subject'?"), std::string::npos) << err.str();
    EXPECT_EQ(out.str(), good + ": valid: 1 step, 1 case, 1 check\n") << "the good one is still looked at";
}

TEST_F(Specs, from_standard_input_are_called_so) {
    in.str("version: 1\nname: x\nnmae: y\n");
    EXPECT_EQ(cli::validate(console(), {{"-"}}, Output::kTable), 2);
    EXPECT_TRUE(err.str().starts_with("stdin:")) << err.str();
}

TEST_F(Specs, that_are_not_there_or_no_file_are_usage_errors) {
    const std::string missing = (folder / "none.yaml").string();
    EXPECT_EQ(cli::validate(console(), {{missing, folder.path().string()}}, Output::kTable), 2);
    EXPECT_EQ(err.str(), missing + ": no such experiment file\n" + folder.path().string() +
                             ": not a regular file; give the path of an experiment's YAML\n");
}

TEST_F(Specs, have_their_problems_as_json_too) {
    const std::string file = write("bad.yaml", "version: 1\nnamee: y\n");
    EXPECT_EQ(cli::validate(console(), {{file}}, Output::kJson), 2);
    EXPECT_NE(out.str().find("\"valid\": false"), std::string::npos) << out.str();
    EXPECT_NE(out.str().find("\"line\": 2"), std::string::npos) << out.str();
    EXPECT_NE(out.str().find("\"suggestion\": \"name\""), std::string::npos) << out.str();
    EXPECT_EQ(err.str(), "");
}

TEST_F(Specs, are_planned_with_their_commands_limits_and_thresholds) {
    const std::string file = write("good.yaml", kGood);
    EXPECT_EQ(cli::plan(console(), {file, "a100"}, Output::kTable), 0) << err.str();
    const std::string text = out.str();
    EXPECT_TRUE(
        text.starts_with("smoke  Smoke test\n"
                         "  plan        1 step, 1 case, 1 check\n"
                         "  instance    a100\n"
                         "  spec        sha256 "))
        << text;
    EXPECT_NE(text.find("  thresholds  sha256 "), std::string::npos) << text;
    EXPECT_NE(text.find("  ceiling     1h 1m 30s on the host\n"), std::string::npos) << text;
    EXPECT_EQ(text.find("  repeat  "), std::string::npos) << text;
    EXPECT_NE(text.find("\ncount  command"), std::string::npos) << text;
    EXPECT_NE(text.find("  runs    sh -c 'echo 1'\n"), std::string::npos) << text;
    EXPECT_NE(text.find("  limit   90s\n"), std::string::npos) << text;
    EXPECT_NE(text.find("  gate    "), std::string::npos) << text;
    out.str("");
    EXPECT_EQ(cli::plan(console(), {file, "a100"}, Output::kJson), 0);
    EXPECT_NE(out.str().find("\"thresholds_hash\": \""), std::string::npos) << out.str();
    EXPECT_NE(out.str().find("\"instance\": \"a100\""), std::string::npos) << out.str();
}

TEST_F(Specs, are_planned_with_their_repetitions_and_what_they_may_cost) {
    const std::string more =
        "repeat: {n: 2, warmup: 1, interleave: true}\nbudget: {wall: 2h, hourly: 4, total: 5}\n";
    const std::string file = write("good.yaml", kGood + more);
    EXPECT_EQ(cli::plan(console(), {file, ""}, Output::kTable), 0) << err.str();
    const std::string text = out.str();
    EXPECT_NE(text.find("  ceiling     1h 4m 30s on the host, 4.30 at 4 an hour; budget 2h; budget 5\n"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("  repeat      each case 2 times after 1 that are not judged, all cases in turn\n"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("\ncount[repeat=w1]  command"), std::string::npos) << text;
    EXPECT_NE(text.find("  warm-up run and recorded, not judged\n"), std::string::npos) << text;
    EXPECT_EQ(cli::validate(console(), {{write("dear.yaml", kGood + std::string("budget: {wall: 1h}\n"))}},
                            Output::kTable),
              2);
    EXPECT_NE(err.str().find("the limits allow 1h 1m 30s on the host, the budget is 1h"), std::string::npos)
        << err.str();
}

TEST_F(Specs, are_submitted_as_they_are_with_a_key_of_their_own) {
    const std::string file = write("good.yaml", kGood);
    cli::SubmitArgs args;
    args.spec = file;
    args.instance = "a100";
    EXPECT_EQ(cli::submit(control, console(), args, Output::kTable), 0) << err.str();
    EXPECT_EQ(out.str(), "r-first\n");
    EXPECT_EQ(cli::submit(control, console(), args, Output::kJson), 0);
    ASSERT_EQ(service.submissions.size(), 2U);
    EXPECT_EQ(service.submissions[0].spec_yaml, kGood);
    EXPECT_EQ(service.submissions[0].file, file);
    EXPECT_EQ(service.submissions[0].instance, "a100");
    EXPECT_NE(service.submissions[0].idempotency_key, "");
    EXPECT_NE(service.submissions[0].idempotency_key, service.submissions[1].idempotency_key);
}

TEST_F(Specs, that_are_wrong_are_never_submitted) {
    cli::SubmitArgs args;
    args.spec = write("bad.yaml", "version: 1\n");
    EXPECT_EQ(cli::submit(control, console(), args, Output::kTable), 2);
    EXPECT_TRUE(service.submissions.empty());
    EXPECT_NE(err.str(), "");
}

TEST_F(Specs, submitted_with_wait_exit_with_the_verdict) {
    know(done(language::Status::kInconclusive));
    cli::SubmitArgs args;
    args.spec = write("good.yaml", kGood);
    args.wait = true;
    EXPECT_EQ(cli::submit(control, console(), args, Output::kTable), 6);
}

// --- run: with a daemon and without

class FakeBackend final : public cli::Backend {
  public:
    explicit FakeBackend(cli::Control& control) : control_(control) {}
    cli::Control& control() override { return control_; }

  private:
    cli::Control& control_;
};

class Run : public CliTest {
  protected:
    int run(const std::string& spec, bool listens) {
        cli::Invocation invocation;
        invocation.command = cli::RunArgs{spec, "", {}};
        cli::Parts parts;
        parts.daemon_listens = [listens](const api::StatePaths&) { return listens; };
        parts.connect = [this](const api::StatePaths&) {
            ++connected;
            return std::make_unique<FakeBackend>(control);
        };
        parts.become_daemon = [this](const api::StatePaths&) -> Result<std::unique_ptr<cli::Backend>> {
            ++became;
            if (refusal) return *refusal;
            return std::unique_ptr<cli::Backend>(std::make_unique<FakeBackend>(control));
        };
        return cli::dispatch(invocation, {}, console(), parts);
    }

    int connected = 0, became = 0;
    std::optional<Error> refusal;
};

TEST_F(Run, goes_to_the_daemon_when_there_is_one) {
    know(done(language::Status::kPass));
    EXPECT_EQ(run(write("good.yaml", kGood), true), 0);
    EXPECT_EQ(connected, 1);
    EXPECT_EQ(became, 0);
    EXPECT_EQ(service.submissions.size(), 1U);
}

TEST_F(Run, does_the_daemons_work_when_there_is_none) {
    know(done(language::Status::kFail));
    EXPECT_EQ(run(write("good.yaml", kGood), false), 1);
    EXPECT_EQ(connected, 0);
    EXPECT_EQ(became, 1);
}

TEST_F(Run, of_a_bad_experiment_starts_nothing) {
    EXPECT_EQ(run(write("bad.yaml", "nmae: x\n"), false), 2);
    EXPECT_EQ(run((folder / "none.yaml").string(), true), 2);
    EXPECT_EQ(connected + became, 0);
}

TEST_F(Run, says_why_it_cannot_be_the_daemon) {
    refusal = fail(ErrorCode::kConflict, "pid 77 has it", "state folder /s");
    EXPECT_EQ(run(write("good.yaml", kGood), false), 2);
    EXPECT_EQ(err.str(), "nsactl: state folder /s: pid 77 has it\n");
}

}  // namespace
}  // namespace nsa::test
