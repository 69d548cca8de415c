// Environment flags: each one's effect, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "nsa_core/errors.hpp"
#include "nsa_core/routes.hpp"

namespace nsa::core {
namespace {

using testing::AllOf;
using testing::HasSubstr;

RoutePolicy policy_of(const std::map<std::string, std::string>& env) {
    return RoutePolicy::from_env([&env](const char* variable) -> const char* {
        const auto found = env.find(variable);
        return found == env.end() ? nullptr : found->second.c_str();
    });
}

std::string refusal_of(const std::map<std::string, std::string>& env) {
    try {
        (void)policy_of(env);
    } catch (const InputError& error) {
        return error.what();
    }
    return "accepted";
}

TEST(Policy, without_flags_nothing_is_set) {
    EXPECT_EQ(policy_of({}), RoutePolicy{});
}

TEST(Policy, every_flag_reaches_its_field) {
    EXPECT_EQ(policy_of({{"NSA_USE_FA2", "1"}}), RoutePolicy{.use_fa2 = true});
    EXPECT_EQ(policy_of({{"NSA_USE_FA2_WIN", "0"}}), RoutePolicy{.use_fa2_win = false});
    EXPECT_EQ(policy_of({{"NSA_USE_FA2_CMP", "true"}}), RoutePolicy{.use_fa2_cmp = true});
    EXPECT_EQ(policy_of({{"NSA_TEST_FA2", "1"}}), RoutePolicy{.test_fa2 = true});
    EXPECT_EQ(policy_of({{"NSA_WIN_FORCE_DENSE", "True"}}), RoutePolicy{.win_force_dense = true});
    EXPECT_EQ(policy_of({{"NSA_FA2_FORCE_VARLEN", "1"}}), RoutePolicy{.fa2_force_varlen = true});
    EXPECT_EQ(policy_of({{"NSA_FA2_FORCE_DENSE", "1"}}), RoutePolicy{.fa2_force_dense = true});
    EXPECT_EQ(policy_of({{"NSA_FA2_MIN_LEN_WIN", "16"}}), RoutePolicy{.fa2_min_len_win = 16});
    EXPECT_EQ(policy_of({{"NSA_FA2_MIN_LEN_CMP", "32"}}), RoutePolicy{.fa2_min_len_cmp = 32});
    EXPECT_EQ(policy_of({{"NSA_SDPA_AUDIT", "1"}}), RoutePolicy{.sdpa_audit = true});
    EXPECT_EQ(policy_of({{"NSA_FORCE_BRANCH", "cmp"}}), RoutePolicy{.force_branch = Branch::kCompressed});
    EXPECT_EQ(policy_of({{"NSA_FORCE_BRANCH", "sel"}}), RoutePolicy{.force_branch = Branch::kSelected});
    EXPECT_EQ(policy_of({{"NSA_FORCE_BRANCH", "win"}}), RoutePolicy{.force_branch = Branch::kSliding});
}

TEST(Policy, a_value_that_is_not_understood_is_refused_with_flag_value_and_choices) {
    for (const char* flag :
         {"NSA_USE_FA2", "NSA_USE_FA2_WIN", "NSA_USE_FA2_CMP", "NSA_TEST_FA2", "NSA_WIN_FORCE_DENSE",
          "NSA_FA2_FORCE_VARLEN", "NSA_FA2_FORCE_DENSE", "NSA_SDPA_AUDIT"}) {
        for (const char* value : {"yes", "2", "", " 1"}) {
            EXPECT_THAT(refusal_of({{flag, value}}),
                        AllOf(HasSubstr(std::string{flag} + "=\"" + value + "\""), HasSubstr("1 or 0")));
        }
    }
    for (const char* flag : {"NSA_FA2_MIN_LEN_WIN", "NSA_FA2_MIN_LEN_CMP"}) {
        for (const char* value : {"-1", "many", "16k", "", "99999999999"}) {
            EXPECT_THAT(refusal_of({{flag, value}}), AllOf(HasSubstr(flag), HasSubstr("a number of keys")));
        }
    }
    for (const char* value : {"sliding", "WIN", ""}) {
        EXPECT_THAT(refusal_of({{"NSA_FORCE_BRANCH", value}}), HasSubstr("cmp, sel or win"));
    }
}

TEST(Policy, forcing_both_fa2_paths_is_refused) {
    EXPECT_THAT(refusal_of({{"NSA_FA2_FORCE_VARLEN", "1"}, {"NSA_FA2_FORCE_DENSE", "1"}}),
                HasSubstr("NSA_FA2_FORCE_VARLEN and NSA_FA2_FORCE_DENSE are both set"));
    EXPECT_EQ(refusal_of({{"NSA_FA2_FORCE_VARLEN", "1"}, {"NSA_FA2_FORCE_DENSE", "0"}}), "accepted");
}

TEST(Policy, a_flag_of_one_branch_wins_over_the_flag_of_all) {
    const RoutePolicy policy = policy_of({{"NSA_USE_FA2", "1"}, {"NSA_USE_FA2_WIN", "0"}});
    EXPECT_EQ(policy.fa2_allowed(Branch::kSliding), std::optional{false});
    EXPECT_EQ(policy.fa2_allowed(Branch::kCompressed), std::optional{true});
    EXPECT_EQ(policy_of({}).fa2_allowed(Branch::kSliding), std::nullopt);

    const RoutePolicy forced = policy_of({{"NSA_WIN_FORCE_DENSE", "1"}, {"NSA_FA2_FORCE_VARLEN", "1"}});
    EXPECT_EQ(forced.fa2_route(Branch::kSliding), Route::kFa2Dense);
    EXPECT_EQ(forced.fa2_route(Branch::kCompressed), Route::kFa2Varlen);
}

TEST(Policy, the_environment_of_the_process_is_read) {
    ASSERT_EQ(setenv("NSA_FA2_MIN_LEN_WIN", "77", /*overwrite=*/1), 0);
    EXPECT_EQ(RoutePolicy::from_env().fa2_min_len_win, 77);
    ASSERT_EQ(unsetenv("NSA_FA2_MIN_LEN_WIN"), 0);
}

}  // namespace
}  // namespace nsa::core
