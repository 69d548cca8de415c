#include "cli/arguments.hpp"

#include <gtest/gtest.h>

namespace nsa::cli {
namespace {

template <class Args>
Args parsed(std::vector<std::string> arguments) {
    const Parsed result = parse_arguments(std::move(arguments));
    EXPECT_TRUE(result.invocation.has_value()) << result.err;
    const Args* args = result.invocation ? std::get_if<Args>(&result.invocation->command) : nullptr;
    EXPECT_NE(args, nullptr);
    return args != nullptr ? *args : Args{};
}

std::string refused(std::vector<std::string> arguments) {
    const Parsed result = parse_arguments(std::move(arguments));
    EXPECT_FALSE(result.invocation.has_value());
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.out, "");
    return result.err;
}

TEST(Arguments, of_each_verb_arrive) {
    EXPECT_EQ(parsed<ValidateArgs>({"validate", "a.yaml", "-"}).specs,
              (std::vector<std::string>{"a.yaml", "-"}));
    const auto plan = parsed<PlanArgs>({"plan", "a.yaml", "--instance", "a100"});
    EXPECT_EQ(plan.spec + plan.instance, "a.yamla100");
    parsed<SchemaArgs>({"schema"});
    const auto submit =
        parsed<SubmitArgs>({"submit", "a.yaml", "-i", "a100", "--wait", "--timeout", "15m", "--key", "k"});
    EXPECT_EQ(submit.spec + submit.instance + submit.key, "a.yamla100k");
    EXPECT_TRUE(submit.wait);
    EXPECT_EQ(submit.timeout_ms, 900'000);
    EXPECT_EQ(parsed<SubmitArgs>({"submit", "a.yaml"}).timeout_ms, std::nullopt);
    EXPECT_EQ(parsed<RunArgs>({"run", "a.yaml", "--timeout", "90s"}).timeout_ms, 90'000);
    EXPECT_EQ(parsed<PsArgs>({"ps"}).limit, 20);
    EXPECT_EQ(parsed<PsArgs>({"list", "-n", "5"}).limit, 5);
    EXPECT_TRUE(parsed<StatusArgs>({"status", "last", "--watch"}).watch);
    const auto logs = parsed<LogsArgs>({"logs", "last", "decode[S=512]", "-f", "--stderr"});
    EXPECT_EQ(logs.run + " " + logs.key, "last decode[S=512]");
    EXPECT_TRUE(logs.follow && logs.use_stderr && !logs.setup);
    const auto setup = parsed<LogsArgs>({"logs", "last", "--setup", "2"});
    EXPECT_TRUE(setup.setup);
    EXPECT_EQ(setup.key, "2");
    EXPECT_EQ(parsed<CancelArgs>({"cancel", "r-1"}).run, "r-1");
    EXPECT_TRUE(parsed<ReportArgs>({"report", "r-1", "--print"}).print);
    EXPECT_EQ(parsed<ArtifactsArgs>({"artifacts", "r-1"}).run, "r-1");
    const auto pull = parsed<PullArgs>({"artifacts", "pull", "r-1", "out"});
    EXPECT_EQ(pull.run + " " + pull.into, "r-1 out");
    const auto add =
        parsed<InstanceAddArgs>({"instance", "add", "a100", "root@h:22", "--key", "k", "--host-key",
                                 "ssh-ed25519 AAAA", "--nsa-core", "/c", "--worker-home", "/w", "--replace"});
    EXPECT_EQ(add.name + add.address + add.key_file + add.host_key + add.nsa_core + add.worker_home,
              "a100root@h:22kssh-ed25519 AAAA/c/w");
    EXPECT_TRUE(add.replace);
    parsed<InstanceListArgs>({"instance", "list"});
    EXPECT_EQ(parsed<InstanceProbeArgs>({"instance", "probe", "a100"}).name, "a100");
    EXPECT_EQ(parsed<VersionArgs>({"version", "--wait", "10s"}).wait_ms, 10'000);
}

TEST(Arguments, of_the_program_are_taken_before_and_after_the_verb) {
    for (const auto& arguments :
         {std::vector<std::string>{"--socket", "/s", "--state-dir", "/d", "ps", "-o", "json"},
          std::vector<std::string>{"ps", "--output", "json", "--state-dir", "/d", "--socket", "/s"}}) {
        const Parsed result = parse_arguments(arguments);
        ASSERT_TRUE(result.invocation.has_value()) << result.err;
        EXPECT_EQ(result.invocation->paths.socket, "/s");
        EXPECT_EQ(result.invocation->paths.state_dir, "/d");
        EXPECT_EQ(result.invocation->output, Output::kJson);
    }
}

TEST(Arguments, that_are_wrong_are_named_with_the_help_to_ask_for) {
    EXPECT_EQ(refused({"statsu", "r-1"}),
              "nsactl: there is no verb 'statsu'; did you mean 'status'?\n"
              "Try: nsactl --help\n");
    EXPECT_EQ(refused({"submit"}), "nsactl submit: SPEC is required\nTry: nsactl submit --help\n");
    EXPECT_EQ(refused({"submit", "a", "--timeout", "soon"}),
              "nsactl submit: --timeout: 'soon' is not a duration; write it like 90s, 15m, 4h\n"
              "Try: nsactl submit --help\n");
    EXPECT_EQ(refused({"artifacts"}),
              "nsactl artifacts: RUN is missing: artifacts RUN, or artifacts pull RUN [DIR]\n");
    EXPECT_NE(refused({}).find("nsactl: a verb is missing; verbs are validate, plan,"), std::string::npos);
    EXPECT_NE(refused({"ps", "-n", "0"}).find("nsactl ps: --limit"), std::string::npos);
    EXPECT_NE(refused({"ps", "-o", "yaml"}).find("nsactl ps: --output"), std::string::npos);
    EXPECT_NE(refused({"instance", "add", "a", "b", "--host-key", "k", "--accept-fingerprint", "f"})
                  .find("excludes"),
              std::string::npos);
    EXPECT_EQ(refused({"ps", "--colour"}),
              "nsactl ps: unexpected argument '--colour'\nTry: nsactl ps --help\n");
    EXPECT_EQ(refused({"instance", "ad"}),
              "nsactl instance: there is no verb 'ad'; did you mean 'add'?\nTry: nsactl instance --help\n");
}

TEST(Help, is_for_the_verb_that_was_named) {
    const Parsed all = parse_arguments({"--help"});
    EXPECT_EQ(all.exit_code, 0);
    EXPECT_EQ(all.err, "");
    for (const char* verb : {"validate", "plan", "schema", "submit", "run", "ps", "status", "logs", "cancel",
                             "report", "artifacts", "instance", "version", "Exit codes: 0 PASS"})
        EXPECT_NE(all.out.find(verb), std::string::npos) << verb;
    const Parsed one = parse_arguments({"instance", "add", "--help"});
    EXPECT_NE(one.out.find("nsactl instance add [OPTIONS] NAME ADDRESS"), std::string::npos) << one.out;
    EXPECT_NE(one.out.find("--accept-fingerprint SHA256:..."), std::string::npos) << one.out;
}

}  // namespace
}  // namespace nsa::cli
