#include "engines/plain_path.hpp"

#include <gtest/gtest.h>

#include <string>

namespace nsa::engines {
namespace {

// Compilers and tool kits carry a plus in their folders: /opt/g++-12, /opt/rocm-6.0+hip.
TEST(PlainPath, LettersDigitsAndDotUnderscoreDashPlusSlashAreTaken) {
    for (const char* good : {"/", "/opt/g++-12/bin", "/home/A_b/.nsa", "/opt/cuda-12.4"}) {
        EXPECT_TRUE(is_plain_path(good, PathRoot::kAbsolute)) << good;
        EXPECT_TRUE(is_plain_path(good, PathRoot::kAbsoluteOrHome)) << good;
    }
}

TEST(PlainPath, WhatAShellWouldLookAtIsRefused) {
    for (const char* bad : {"/a b", "/a'b", "/a\"b", "/a$b", "/a`b", "/a;b", "/a\\b", "/a\nb", "/a*", "/a:b",
                            "/a~b", "/a/../b", "/..", "/\xc3\xa4"})
        EXPECT_FALSE(is_plain_path(bad, PathRoot::kAbsoluteOrHome)) << bad;
    EXPECT_FALSE(is_plain_path("/" + std::string(4000, 'a'), PathRoot::kAbsolute));
}

TEST(PlainPath, ARelativePathIsRefusedAndTheHomeOnlyWhereItIsAllowed) {
    EXPECT_TRUE(is_plain_path("~/scratch/nsa", PathRoot::kAbsoluteOrHome));
    EXPECT_FALSE(is_plain_path("~/scratch/nsa", PathRoot::kAbsolute));
    for (const char* bad : {"", "~", "~root/x", "scratch", "./x", "-x"})
        EXPECT_FALSE(is_plain_path(bad, PathRoot::kAbsoluteOrHome)) << bad;
}

TEST(PlainPath, AListIsAbsoluteFoldersBetweenSingleColons) {
    for (const char* good : {"", "/usr/bin", "/opt/venv/bin:/opt/g++-12/bin"})
        EXPECT_TRUE(is_plain_path_list(good)) << good;
    for (const char* bad : {":", "/a:", ":/a", "/a::/b", "/a:b", "/a:~/b", "/a:/b c"})
        EXPECT_FALSE(is_plain_path_list(bad)) << bad;
}

}  // namespace
}  // namespace nsa::engines
