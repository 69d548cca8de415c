// Dates and shell words.
#include <gtest/gtest.h>

#include "language/shell_word.hpp"
#include "language/utc_time.hpp"

namespace nsa::language {
namespace {

TEST(UtcTime, IsADateAClockOrBoth) {
    EXPECT_EQ(utc_date(0), "1970-01-01");
    EXPECT_EQ(utc_date(1'795'478'399'999), "2026-11-23");
    EXPECT_EQ(utc_date(1'795'478'400'000), "2026-11-24");
    EXPECT_EQ(utc_clock(1'795'435'261'999), "12:01:01");
    EXPECT_EQ(utc_time(1'795'435'200'000), "2026-11-23 12:00:00 UTC");
}

TEST(ShellWord, IsQuotedWhereAShellWouldReadItOtherwise) {
    EXPECT_EQ(shell_word("--seq=512,1024"), "--seq=512,1024");
    EXPECT_EQ(shell_word("root@10.0.0.7:22"), "root@10.0.0.7:22");
    EXPECT_EQ(shell_word("a b"), "'a b'");
    EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
    EXPECT_EQ(shell_word(""), "''");
}

}  // namespace
}  // namespace nsa::language
