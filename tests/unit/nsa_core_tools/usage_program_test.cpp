// What a user meets first: help, versions, and messages about mistakes.
#include <gmock/gmock.h>

#include <boost/json.hpp>

#include "program.hpp"

namespace nsa::core {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using Usage = Program;

TEST_F(Usage, HelpListsSubcommandsAndTheirFlags) {
    const Ended overview = run({"--help"});
    EXPECT_EQ(overview.exit_code, 0);
    for (const char* name :
         {"parity", "decode-bench", "prefill-bench", "needle", "train-smoke", "probe", "version"}) {
        EXPECT_THAT(overview.out, HasSubstr(name));
    }
    const Ended parity = run({"parity", "--help"});
    EXPECT_EQ(parity.exit_code, 0);
    EXPECT_THAT(parity.out,
                AllOf(HasSubstr("--l-sel N"), HasSubstr("sdpa_causal_one_query"), HasSubstr("--results"),
                      HasSubstr("NSA_FORCE_BRANCH"), HasSubstr("77 skipped")));
    EXPECT_THAT(run({"train-smoke", "-h"}).out, HasSubstr("--lr X"));
}

TEST_F(Usage, WithoutASubcommandTheOverviewGoesToStderr) {
    const Ended ended = run({});
    EXPECT_EQ(ended.exit_code, 2);
    EXPECT_THAT(ended.err, HasSubstr("usage: nsa-core SUBCOMMAND"));
}

TEST_F(Usage, VersionNamesTorch) {
    const Ended ended = run({"version"});
    EXPECT_EQ(ended.exit_code, 0);
    EXPECT_THAT(ended.out, AllOf(HasSubstr("nsa-core "), HasSubstr("torch ")));
    EXPECT_EQ(run({"version", "x"}).exit_code, 2);
}

TEST_F(Usage, ProbeIsJsonAndFacts) {
    const Ended ended = run({"probe"});
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    const auto host = boost::json::parse(ended.out).as_object();
    EXPECT_EQ(host.at("torch_version").as_string(), ended.fact("torch_version"));
    EXPECT_GT(host.at("cpu").as_object().at("cores").as_int64(), 0);
    EXPECT_TRUE(host.at("gpus").as_array().empty()) << "the test hides all GPUs";
    EXPECT_EQ(ended.fact("gpu_count"), "0");
}

struct Mistake {
    std::vector<std::string> args;
    std::map<std::string, std::string> environment;
    std::vector<std::string> said;  // all of it is in the message
};

TEST_F(Usage, MistakesExitWith2AndSayWhatWouldBeRight) {
    const std::vector<Mistake> mistakes{
        {{"partiy"}, {}, {"unknown subcommand \"partiy\"", "did you mean parity?"}},
        {{"parity", "--sek", "5"}, {}, {"parity: unknown flag --sek", "did you mean --seq?"}},
        {{"parity", "--seq", "x"}, {}, {"--seq expects an integer from 1", "got \"x\""}},
        {{"parity", "--dtype", "fp8"}, {}, {"--dtype expects one of fp64, fp32, fp16, bf16", "got \"fp8\""}},
        {{"parity", "--heads", "4", "--groups", "3"}, {}, {"heads", "groups"}},
        {{"parity", "--branch", "module", "--route", "sdpa_causal_one_query"},
         {},
         {"--branch sliding or compressed"}},
        {{"parity", "--route", "fa2_dense"}, {{"NSA_USE_FA2_WIN", "0"}}, {"fa2_dense", "NSA_USE_FA2_WIN=0"}},
        {{"parity"}, {{"NSA_USE_FA2", "maybe"}}, {"NSA_USE_FA2=\"maybe\" is not understood"}},
        {{"parity"}, {{"NSA_FORCE_BRANCH", "sliding"}}, {"NSA_FORCE_BRANCH", "cmp, sel or win"}},
        {{"decode-bench"}, {{"NSA_FA2_FORCE_VARLEN", "1"}, {"NSA_FA2_FORCE_DENSE", "1"}}, {"both set"}},
        {{"train-smoke"}, {{"NSA_FA2_MIN_LEN_WIN", "-1"}}, {"NSA_FA2_MIN_LEN_WIN", "\"-1\""}},
        {{"decode-bench", "--seq", "512,"}, {}, {"--seq expects integers", "separated by commas"}},
        {{"train-smoke", "--dk", "15"}, {}, {"even"}},
        {{"probe", "--artifacts", "/no/such/folder"}, {}, {"--artifacts expects an existing folder"}},
    };
    for (const Mistake& mistake : mistakes) {
        const Ended ended = run(mistake.args, mistake.environment);
        EXPECT_EQ(ended.exit_code, 2) << ended.err;
        for (const std::string& text : mistake.said)
            EXPECT_THAT(ended.err, HasSubstr(text));
        EXPECT_TRUE(ended.records.empty()) << ended.err;
    }
}

TEST_F(Usage, AResultsFileThatCannotBeWrittenIsAnErrorThatNamesIt) {
    const Ended absent = run({"parity", "--results", "/no/such/folder/r.jsonl"});
    EXPECT_EQ(absent.exit_code, 1);
    EXPECT_THAT(absent.err, AllOf(HasSubstr("/no/such/folder/r.jsonl"), HasSubstr("No such file")));
    const Ended full = run({"parity", "--results", "/dev/full"});
    EXPECT_EQ(full.exit_code, 1);
    EXPECT_THAT(full.err, HasSubstr("No space left on device"));
}

}  // namespace
}  // namespace nsa::core
