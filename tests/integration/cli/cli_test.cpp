// The real nsactl: alone, and with a real nsad.
#include <gtest/gtest.h>
#include <signal.h>

#include "nsactl_process.hpp"
#include "nsad_process.hpp"
#include "support/temp_dir.hpp"

namespace nsa::test {
namespace {

constexpr char kPassing[] =
    "version: 1\n"
    "name: passing\n"
    "subject: Passing test\n"
    "steps:\n"
    "  - id: count\n"
    "    kind: command\n"
    "    run: [sh, -c, 'echo 42; echo note >&2; echo data > table.csv']\n"
    "    artifacts: ['*.csv']\n"
    "    metrics:\n"
    "      - {parse: regex, pattern: '([0-9]+)', metric: count, unit: '1'}\n"
    "    checks:\n"
    "      - count >= 1\n";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    return text.replace(text.find(from), from.size(), to);
}
std::string failing() {
    return replaced(kPassing, "count >= 1", "count >= 1000");
}
// Goes on until the file `go` is in the folder.
std::string waiting(const TempDir& dir) {
    return replaced(kPassing, "echo 42;",
                    "until [ -e " + (dir / "go").string() + " ]; do sleep 0.05; done; echo 42;");
}

class Cli : public ::testing::Test {
  protected:
    std::string spec(const std::string& yaml) const {
        write_file(dir / "spec.yaml", yaml);
        return (dir / "spec.yaml").string();
    }
    Ended call(const std::vector<std::string>& arguments) const { return nsactl(dir.path(), arguments); }

    TempDir dir;
};

std::string report_path(const std::string& out) {
    const std::size_t at = out.find("report: ");
    return at == std::string::npos ? "" : out.substr(at + 8, out.find('\n', at) - at - 8);
}

TEST_F(Cli, runs_an_experiment_without_a_daemon_to_its_report) {
    const Ended ended = call({"run", spec(kPassing)});
    EXPECT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_TRUE(ended.out.starts_with("PASS  passing  r-")) << ended.out;
    EXPECT_NE(ended.err.find(" RUNNING on local\n"), std::string::npos) << ended.err;
    EXPECT_NE(ended.err.find(" PASS count "), std::string::npos) << ended.err;
    EXPECT_NE(read_file(report_path(ended.out)).find("Passing test"), std::string::npos);
    const auto others = std::filesystem::perms::group_all | std::filesystem::perms::others_all;
    EXPECT_EQ(std::filesystem::status(report_path(ended.out)).permissions() & others,
              std::filesystem::perms::none)
        << "as private as nsad's";
    EXPECT_TRUE(std::filesystem::exists(dir / "state/nsa.db"));
}

TEST_F(Cli, without_a_daemon_states_the_verdict_of_a_failing_experiment_too) {
    const Ended ended = call({"run", spec(failing()), "-o", "json"});
    EXPECT_EQ(ended.exit_code, 1) << ended.err;
    EXPECT_NE(ended.out.find("\"status\": \"FAIL\""), std::string::npos) << ended.out;
}

TEST_F(Cli, without_a_daemon_cancels_at_the_second_ctrl_c) {
    NsactlProcess process(dir.path(), {"run", spec(waiting(dir))});
    process.wait_until_it_says("count running");
    process.interrupt();
    process.wait_until_it_says("Ctrl-C again cancels it");
    process.interrupt();
    const Ended ended = process.end();
    EXPECT_EQ(ended.exit_code, 7) << ended.err << ended.out;
}

TEST_F(Cli, without_a_daemon_other_verbs_say_how_to_get_one) {
    const Ended ended = call({"ps"});
    EXPECT_EQ(ended.exit_code, 4);
    EXPECT_EQ(ended.err, "nsactl: no nsad at " + (dir / "state/nsad.sock").string() +
                             "; start it with `nsad` or use `nsactl run SPEC`\n");
}

TEST_F(Cli, points_at_the_place_of_a_mistake) {
    const std::string file = spec(replaced(kPassing, "subject", "subjct"));
    const Ended ended = call({"run", file});
    EXPECT_EQ(ended.exit_code, 2);
    EXPECT_TRUE(ended.err.starts_with(file + ":3:1: ")) << ended.err;
    EXPECT_FALSE(std::filesystem::exists(dir / "state")) << "nothing was started for it";
}

TEST_F(Cli, submits_to_a_daemon_and_shows_all_about_the_run) {
    NsadProcess nsad(dir.path());
    const Ended submitted = call({"submit", spec(kPassing), "--instance", "local", "--wait"});
    EXPECT_EQ(submitted.exit_code, 0) << submitted.err;
    const Ended listed = call({"ps"});
    EXPECT_NE(listed.out.find("passing"), std::string::npos) << listed.out;
    const Ended status = call({"status", "last"});
    EXPECT_EQ(status.exit_code, 0);
    EXPECT_NE(status.out.find("DONE  PASS\n"), std::string::npos) << status.out;
    EXPECT_EQ(call({"logs", "last", "count"}).out, "42\n");
    EXPECT_EQ(call({"logs", "last", "count", "--stderr", "-f"}).out, "note\n");
    const Ended pulled = call({"artifacts", "pull", "last", (dir / "pulled").string()});
    EXPECT_EQ(pulled.exit_code, 0) << pulled.err;
    EXPECT_EQ(read_file(dir / "pulled/steps/count/table.csv"), "data\n");
    const Ended report = call({"report", "last", "--print"});
    EXPECT_EQ(report.exit_code, 0) << report.err;
    EXPECT_NE(report.out.find("Passing test"), std::string::npos);
    EXPECT_NE(call({"instance", "list"}).out.find("local"), std::string::npos);
    EXPECT_EQ(call({"version"}).exit_code, 0);
}

TEST_F(Cli, leaves_a_run_to_the_daemon_at_ctrl_c) {
    NsadProcess nsad(dir.path());
    NsactlProcess process(dir.path(), {"run", spec(waiting(dir)), "--instance", "local"});
    process.wait_until_it_says("count running");
    process.interrupt();
    EXPECT_EQ(process.end().exit_code, 130);
    EXPECT_EQ(call({"status", "last"}).exit_code, 8);
    EXPECT_EQ(call({"cancel", "last"}).exit_code, 0);
    EXPECT_EQ(call({"status", "last", "--watch"}).exit_code, 7);
}

TEST_F(Cli, stays_with_a_run_while_its_daemon_is_killed_and_started_again) {
    std::optional<NsadProcess> nsad(std::in_place, dir.path());
    NsactlProcess process(dir.path(), {"submit", spec(waiting(dir)), "--instance", "local", "--wait"});
    process.wait_until_it_says("count running");
    nsad->end(SIGKILL, std::chrono::seconds{20});
    process.wait_until_it_says("nsad does not answer");
    nsad.emplace(dir.path());
    write_file(dir / "go", "");
    const Ended ended = process.end();
    EXPECT_EQ(ended.exit_code, 0) << ended.err << ended.out;
}

TEST_F(Cli, stops_waiting_at_its_timeout) {
    NsadProcess nsad(dir.path());
    const Ended ended =
        call({"submit", spec(waiting(dir)), "--instance", "local", "--wait", "--timeout", "300ms"});
    EXPECT_EQ(ended.exit_code, 124) << ended.err;
    EXPECT_EQ(call({"cancel", "last"}).exit_code, 0);
}

}  // namespace
}  // namespace nsa::test
