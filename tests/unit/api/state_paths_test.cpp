// Where the daemon and its clients look for its files.
#include "api/state_paths.hpp"

#include <gtest/gtest.h>

#include <map>

namespace nsa::api {
namespace {

Getenv from(std::map<std::string, std::string> variables) {
    return [variables = std::move(variables)](const char* name) {
        const auto found = variables.find(name);
        return found == variables.end() ? std::string{} : found->second;
    };
}

TEST(StatePaths, come_from_the_flag_then_the_environment_then_the_default) {
    PathFlags flags;
    const auto resolve = [&](std::map<std::string, std::string> variables, bool artifacts_here = false) {
        return state_paths(flags, from(std::move(variables)), artifacts_here, "/here").value();
    };
    EXPECT_EQ(resolve({{"HOME", "/home/me"}}).socket, "/home/me/.local/state/nsa/nsad.sock");
    EXPECT_EQ(resolve({{"HOME", "/home/me"}, {"XDG_STATE_HOME", "/xdg"}}).state_dir, "/xdg/nsa");
    EXPECT_EQ(resolve({{"HOME", "/home/me"}, {"XDG_STATE_HOME", "relative"}}).state_dir,
              "/home/me/.local/state/nsa");
    EXPECT_EQ(resolve({{"HOME", "/h"}, {"NSA_STATE_DIR", "/env"}}).socket, "/env/nsad.sock");
    EXPECT_EQ(resolve({{"NSA_STATE_DIR", "/env"}}).artifacts_dir, "/env/artifacts");
    EXPECT_EQ(resolve({{"NSA_STATE_DIR", "/env"}}, true).artifacts_dir, "/here/artifacts");
    EXPECT_EQ(resolve({{"NSA_STATE_DIR", "/env"}, {"NSA_ARTIFACTS_DIR", "/a"}}, true).artifacts_dir, "/a");
    flags.state_dir = "flag";
    EXPECT_EQ(resolve({{"NSA_STATE_DIR", "/env"}}).socket, "/here/flag/nsad.sock");
    flags.socket = "s.sock";
    EXPECT_EQ(resolve({{"NSA_STATE_DIR", "/env"}}).socket, "/here/s.sock");
    flags.artifacts_dir = "out";
    EXPECT_EQ(resolve({{"NSA_ARTIFACTS_DIR", "/a"}}, true).artifacts_dir, "/here/out");
}

TEST(StatePaths, need_a_home_or_a_flag) {
    const auto paths = state_paths(PathFlags{}, from({}), false, "/here");
    ASSERT_FALSE(paths.has_value());
    EXPECT_EQ(paths.error().text, "HOME is not set; give --state-dir or NSA_STATE_DIR");
}

}  // namespace
}  // namespace nsa::api
