// The pure decisions of the runner: environment, gating, globs, program names.
#include <gtest/gtest.h>

#include "runner/environment.hpp"
#include "runner/gating.hpp"
#include "runner/globs.hpp"
#include "runner/plan_files.hpp"

namespace nsa::runner {
namespace {

TEST(StepEnvironment, InheritsTheAllowlistOnly) {
    const posix::Environment host{{"PATH", "/bin"},     {"HOME", "/root"},         {"LC_ALL", "C"},
                                  {"CUDA_HOME", "/c"},  {"SSH_AUTH_SOCK", "/s"},   {"AWS_SECRET", "x"},
                                  {"LD_PRELOAD", "/x"}, {"LD_LIBRARY_PATH", "/l"}, {"PYTHONPATH", "/p"}};
    const auto environment =
        step_environment(host, {{"PATH", "/mine"}, {"X", "1"}}, {"/runs/r", "/runs/r/steps/a"});
    EXPECT_EQ(environment, (posix::Environment{{"PATH", "/mine"},
                                               {"HOME", "/root"},
                                               {"LC_ALL", "C"},
                                               {"CUDA_HOME", "/c"},
                                               {"LD_LIBRARY_PATH", "/l"},
                                               {"X", "1"},
                                               {"NSA_RESULTS", "/runs/r/steps/a/results.jsonl"},
                                               {"NSA_ARTIFACTS", "/runs/r/steps/a"},
                                               {"NSA_RUN_DIR", "/runs/r"}}));
}

TEST(StepEnvironment, HomeIsExpandedAtTheFrontOnly) {
    EXPECT_EQ(expand_home("~", "/root"), "/root");
    EXPECT_EQ(expand_home("~/x/~", "/root"), "/root/x/~");
    EXPECT_EQ(expand_home("~user/x", "/root"), "~user/x");
    EXPECT_EQ(expand_home("a~/x", "/root"), "a~/x");
    EXPECT_EQ(expand_home("", "/root"), "");
}

language::PlannedCase planned(std::string key, std::vector<std::string> needs) {
    language::PlannedCase out;
    out.key = CaseKey{std::move(key)};
    for (auto& need : needs)
        out.needs.push_back(CaseKey{std::move(need)});
    return out;
}

TEST(Gate, EveryVerdictThatDoesNotUnblockBlocks) {
    using language::Verdict;
    for (const auto verdict : {Verdict::kPass, Verdict::kFail, Verdict::kXfail, Verdict::kXpass,
                               Verdict::kSkip, Verdict::kError, Verdict::kTimeout, Verdict::kNoReference,
                               Verdict::kInconclusive, Verdict::kBlocked, Verdict::kCancelled}) {
        Gate gate;
        gate.record(CaseKey{"a"}, verdict);
        const bool runs = !gate.blocked_by(planned("b", {"a"}));
        EXPECT_EQ(runs, verdict == Verdict::kPass || verdict == Verdict::kXfail)
            << language::to_string(verdict);
    }
}

TEST(Gate, NamesTheFirstNeedThatIsInTheWay) {
    Gate gate;
    gate.record(CaseKey{"good"}, language::Verdict::kPass);
    gate.record(CaseKey{"bad"}, language::Verdict::kFail);
    EXPECT_EQ(gate.blocked_by(planned("x", {})), std::nullopt);
    EXPECT_EQ(gate.blocked_by(planned("x", {"good"})), std::nullopt);
    EXPECT_EQ(gate.blocked_by(planned("x", {"good", "bad", "never"})), CaseKey{"bad"});
    EXPECT_EQ(gate.blocked_by(planned("x", {"never"})), CaseKey{"never"});
}

TEST(Globs, MatchComponentByComponent) {
    const std::vector<std::pair<std::string, std::string>> good{{"*.csv", "a.csv"},
                                                                {"plots/*.png", "plots/p.png"},
                                                                {"**/*.json", "a/b/c.json"},
                                                                {"**/*.json", "c.json"},
                                                                {"**", "a/b"},
                                                                {"a/**/z", "a/z"},
                                                                {"a/**/z", "a/b/c/z"},
                                                                {"[ab]?.txt", "b1.txt"},
                                                                {"-rf.csv", "-rf.csv"},
                                                                {".hidden", ".hidden"}};
    const std::vector<std::pair<std::string, std::string>> bad{
        {"*.csv", "sub/a.csv"}, {"*.csv", ".a.csv"}, {"*", "a/b"},      {"plots/*", "plots"},
        {"plots", "plots/x"},   {"", "a"},           {"a/**/z", "b/z"}, {"a*", "ba"}};
    for (const auto& [pattern, path] : good)
        EXPECT_TRUE(glob_matches(pattern, path)) << pattern << " " << path;
    for (const auto& [pattern, path] : bad)
        EXPECT_FALSE(glob_matches(pattern, path)) << pattern << " " << path;
}

TEST(Globs, AHostilePatternDoesNotTakeForever) {
    std::string pattern = "**", path = "a";
    for (int i = 0; i < 30; ++i) {
        pattern += "/**";
        path += "/a";
    }
    EXPECT_FALSE(glob_matches(pattern + "/no", path));
}

TEST(ResolveArgv, ToolsThenHomeThenPathsThenPATH) {
    const std::map<std::string, std::string> tools{{"nsa-core", "/opt/nsa-core"}};
    const auto resolve = [&](std::string program) {
        return resolve_argv({std::move(program), "~"}, tools, "/nowhere:/bin", "/root");
    };
    EXPECT_EQ(resolve("nsa-core").value(), (std::vector<std::string>{"/opt/nsa-core", "~"}));
    EXPECT_EQ(resolve("~/run.sh").value().front(), "/root/run.sh");
    EXPECT_EQ(resolve("./run.sh").value().front(), "./run.sh");
    EXPECT_EQ(resolve("sh").value().front(), "/bin/sh");
    const auto missing = resolve("nsa-cor");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
    EXPECT_EQ(missing.error().text,
              "program 'nsa-cor' is not in PATH (/nowhere:/bin); tools of the launch: nsa-core");
    EXPECT_FALSE(resolve(""));
    EXPECT_FALSE(resolve_argv({}, tools, "/bin", "/root"));
}

}  // namespace
}  // namespace nsa::runner
