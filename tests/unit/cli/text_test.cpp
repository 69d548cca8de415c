#include "cli/text.hpp"

#include <gtest/gtest.h>

#include "cli/address.hpp"
#include "cli/pretty_json.hpp"

namespace nsa::cli {
namespace {

TEST(Durations, read_as_people_say_them) {
    const std::pair<std::int64_t, std::string> rows[] = {
        {-5, "0ms"},           {99, "99ms"},          {840, "0.8s"},          {12'340, "12.3s"},
        {59'949, "59.9s"},     {59'950, "1m 00s"},    {125'000, "2m 05s"},    {3'599'499, "59m 59s"},
        {3'600'000, "1h 00m"}, {3'780'000, "1h 03m"}, {86'400'000, "1d 00h"}, {187'200'000, "2d 04h"}};
    for (const auto& [ms, text] : rows)
        EXPECT_EQ(human_duration(ms), text);
}

TEST(Durations, are_taken_with_a_unit_only) {
    EXPECT_EQ(parse_duration_ms("500ms"), 500);
    EXPECT_EQ(parse_duration_ms("90s"), 90'000);
    EXPECT_EQ(parse_duration_ms("15m"), 900'000);
    EXPECT_EQ(parse_duration_ms("4h"), 14'400'000);
    EXPECT_EQ(parse_duration_ms("2d"), 172'800'000);
    for (const char* text : {"", "s", "5", "-5s", "5 s", "5sec", "1.5h", "99999999999999999999s", "9999999d"})
        EXPECT_EQ(parse_duration_ms(text), std::nullopt) << text;
}

TEST(Sizes, are_binary_with_one_decimal) {
    EXPECT_EQ(human_size(0), "0 B");
    EXPECT_EQ(human_size(1023), "1023 B");
    EXPECT_EQ(human_size(1024), "1.0 KiB");
    EXPECT_EQ(human_size(1'048'575), "1.0 MiB");
    EXPECT_EQ(human_size(5'033'165), "4.8 MiB");
    EXPECT_EQ(human_size(~0ULL), "16.0 EiB");
}

TEST(Ages, are_rounded_down) {
    constexpr std::int64_t kNow = 1'795'442'400'000;
    EXPECT_EQ(human_age(0, kNow), "");
    EXPECT_EQ(human_age(kNow - 999, kNow), "now");
    EXPECT_EQ(human_age(kNow - 59'999, kNow), "59s ago");
    EXPECT_EQ(human_age(kNow - 3'599'999, kNow), "59m ago");
    EXPECT_EQ(human_age(kNow - 7'200'000, kNow), "2h ago");
    EXPECT_EQ(human_age(kNow - 90'000'000, kNow), "1d ago");
}

TEST(Harmless, shows_what_a_terminal_would_obey) {
    EXPECT_EQ(harmless("caf\xC3\xA9 \xF0\x9F\x98\x80"), "caf\xC3\xA9 \xF0\x9F\x98\x80");
    EXPECT_EQ(harmless("\x1b]0;title\x07"), "\\x1b]0;title\\x07");
    EXPECT_EQ(harmless("a\rb\x7f\xC2\x9B"), "a\\x0db\\x7f\\x9b");
    EXPECT_EQ(harmless("abc\xE2\x80\xAE!"), "abc\\u202e!");
    EXPECT_EQ(harmless("a\xE2\x80\x8B\xEF\xBB\xBF"), "a\\u200b\\ufeff");
    EXPECT_EQ(harmless("\xFFx\xC3"), "\\xffx\\xc3");
    EXPECT_EQ(harmless("a\n\tb"), "a  b");
    EXPECT_EQ(harmless("a\n\tb", true), "a\n\tb");
}

TEST(Fit, cuts_by_characters_and_says_so) {
    EXPECT_EQ(fit("decode", 6), "decode");
    EXPECT_EQ(fit("decode", 5), "deco…");
    EXPECT_EQ(fit("\xC3\xA9\xC3\xA9\xC3\xA9", 2), "\xC3\xA9…");
}

TEST(ShellQuoted, is_one_argument_again) {
    EXPECT_EQ(shell_quoted("root@10.0.0.7:22"), "root@10.0.0.7:22");
    EXPECT_EQ(shell_quoted("a b"), "'a b'");
    EXPECT_EQ(shell_quoted("it's"), "'it'\\''s'");
    EXPECT_EQ(shell_quoted(""), "''");
    EXPECT_EQ(shell_quoted("a \\n b"), "'a \\n b'");
    EXPECT_EQ(shell_quoted("it's\n\\x\x1b"), "$'it\\'s\\n\\\\x\\x1b'");
}

TEST(Tables, align_columns_and_end_lines_without_blanks) {
    Table table({"NAME", ">SIZE", "NOTE"});
    table.add({"a", "1.0 KiB", ""});
    table.add({"\xC3\xA9t\xC3\xA9s", "7 B", "second"});
    table.add({"only", "", ""});
    EXPECT_EQ(table.render(Paint(false)),
              "NAME     SIZE  NOTE\n"
              "a     1.0 KiB\n"
              "\xC3\xA9t\xC3\xA9s      7 B  second\n"
              "only\n");
}

TEST(Tables, with_colours_are_aligned_the_same) {
    Table table({"A", "B"});
    table.add({Cell("x", Colour::kGreen), "y"});
    EXPECT_EQ(table.render(Paint(true)), "\x1b[1mA\x1b[0m  \x1b[1mB\x1b[0m\n\x1b[32mx\x1b[0m  y\n");
}

TEST(PrettyJson, breaks_what_is_long_and_keeps_what_is_short) {
    EXPECT_EQ(
        pretty_json(R"({"a":1,"s":8.4E-1,"b":[],"c":{},"argv":["x","y z"],"list":[{"k":null}],"t":"\"\n"})"),
        "{\n"
        "  \"a\": 1,\n"
        "  \"s\": 0.84,\n"
        "  \"b\": [],\n"
        "  \"c\": {},\n"
        "  \"argv\": [\"x\", \"y z\"],\n"
        "  \"list\": [\n"
        "    {\n"
        "      \"k\": null\n"
        "    }\n"
        "  ],\n"
        "  \"t\": \"\\\"\\n\"\n"
        "}");
}

TEST(Addresses, have_a_user_a_host_and_perhaps_a_port) {
    EXPECT_EQ(parse_address("root@10.0.0.7").value(), (Address{"root", "10.0.0.7", 22}));
    EXPECT_EQ(parse_address("u_1@gpu.example:40022").value(), (Address{"u_1", "gpu.example", 40'022}));
    EXPECT_EQ(parse_address("root@[2001:db8::1]:2222").value(), (Address{"root", "2001:db8::1", 2'222}));
    EXPECT_EQ(parse_address("root@[2001:db8::1]").value(), (Address{"root", "2001:db8::1", 22}));
}

TEST(Addresses, that_are_wrong_say_which_part) {
    const std::pair<std::string, std::string> rows[] = {
        {"10.0.0.7", "there is no USER@"},
        {"@host", "this user name is not allowed"},
        {"-oProxyCommand=x@host", "this user name is not allowed"},
        {"root@", "this host name is not allowed"},
        {"root@-x", "this host name is not allowed"},
        {"root@host:", "the port is missing"},
        {"root@host:0", "the port must be 1 to 65535"},
        {"root@host:65536", "the port must be 1 to 65535"},
        {"root@host:22x", "the port must be 1 to 65535"},
        {"root@2001:db8::1", "an IPv6 address must be in brackets"},
        {"root@[::1", "the ']' is missing"},
        {"root@[::1]:", "the port is missing"},
        {"root@[::1]22", "only :PORT may follow the ']'"}};
    for (const auto& [text, why] : rows) {
        const auto address = parse_address(text);
        ASSERT_FALSE(address.has_value()) << text;
        EXPECT_EQ(address.error(), fail(ErrorCode::kUsage, why + "; write it as USER@HOST[:PORT], or 'local'",
                                        "address " + text));
    }
}

}  // namespace
}  // namespace nsa::cli
