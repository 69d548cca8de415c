#include "language/environment.hpp"

#include <gmock/gmock.h>

namespace nsa::language {
namespace {

using testing::HasSubstr;

TEST(EnvironmentTest, EveryFlagTakesTheValuesItUnderstands) {
    for (const char* name :
         {"NSA_USE_FA2", "NSA_USE_FA2_WIN", "NSA_USE_FA2_CMP", "NSA_TEST_FA2", "NSA_WIN_FORCE_DENSE",
          "NSA_FA2_FORCE_VARLEN", "NSA_FA2_FORCE_DENSE", "NSA_SDPA_AUDIT"}) {
        EXPECT_FALSE(env_fault(name, "0")) << name;
        EXPECT_FALSE(env_fault(name, "1")) << name;
        for (const char* bad : {"", "2", "true", "yes", " 1"}) {
            const auto fault = env_fault(name, bad);
            ASSERT_TRUE(fault) << name << "=" << bad;
            EXPECT_EQ(fault->expected, "0 or 1");
        }
    }
    for (const char* name : {"NSA_FA2_MIN_LEN_WIN", "NSA_FA2_MIN_LEN_CMP"}) {
        EXPECT_FALSE(env_fault(name, "128"));
        for (const char* bad : {"", "-1", "1.5", "9999999999", "x"})
            EXPECT_TRUE(env_fault(name, bad)) << bad;
    }
    for (const char* branch : {"cmp", "sel", "win"})
        EXPECT_FALSE(env_fault("NSA_FORCE_BRANCH", branch));
    EXPECT_EQ(env_fault("NSA_FORCE_BRANCH", "sliding")->expected, "cmp, sel or win");
}

TEST(EnvironmentTest, AnUnknownFlagIsRefusedWithItsNeighbour) {
    const auto fault = env_fault("NSA_USE_FA3", "1");
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->text, "unknown flag 'NSA_USE_FA3'");
    EXPECT_THAT(fault->expected, HasSubstr("NSA_FORCE_BRANCH"));
    EXPECT_EQ(fault->suggestion, "NSA_USE_FA2");
}

TEST(EnvironmentTest, NamesThatChangeWhichCodeRunsAreRefused) {
    for (const char* name : {"PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "BASH_ENV", "ENV", "PYTHONPATH",
                             "PYTHONSTARTUP", "IFS", "SHELLOPTS"}) {
        const auto fault = env_fault(name, "x");
        ASSERT_TRUE(fault) << name;
        EXPECT_THAT(fault->text, HasSubstr("changes which code runs"));
    }
    EXPECT_THAT(env_fault("NSA_RESULTS", "x")->text, HasSubstr("set by the worker"));
}

TEST(EnvironmentTest, NamesAndValuesMustBePlain) {
    for (const char* name : {"", "1A", "A-B", "A B", "A=B", "Ä"})
        EXPECT_TRUE(env_fault(name, "x")) << name;
    EXPECT_FALSE(env_fault("OMP_NUM_THREADS", "$(x) `y` \"z\" ä"));
    EXPECT_FALSE(env_fault("EMPTY", ""));
    EXPECT_TRUE(env_fault("A", "one\ntwo"));
}

TEST(EnvironmentTest, OnlyOnePathCanBeForced) {
    EXPECT_TRUE(env_fault({{"NSA_FA2_FORCE_VARLEN", "1"}, {"NSA_FA2_FORCE_DENSE", "1"}}));
    EXPECT_FALSE(env_fault({{"NSA_FA2_FORCE_VARLEN", "1"}, {"NSA_FA2_FORCE_DENSE", "0"}}));
}

}  // namespace
}  // namespace nsa::language
