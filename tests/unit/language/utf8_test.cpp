#include "language/utf8.hpp"

#include <gtest/gtest.h>

namespace nsa::language {
namespace {

TEST(Utf8, IsWellFormedOrNot) {
    const std::pair<std::string, std::size_t> rows[] = {{"a", 1},
                                                        {"\xC3\xA9", 2},
                                                        {"\xE2\x82\xAC", 3},
                                                        {"\xF0\x9F\x98\x80", 4},
                                                        {"\x80", 0},
                                                        {"\xC0\x80", 0},
                                                        {"\xC3", 0},
                                                        {"\xE0\x80\x80", 0},
                                                        {"\xED\xA0\x80", 0},      // a surrogate
                                                        {"\xF4\x90\x80\x80", 0},  // above U+10FFFF
                                                        {"\xF5\x80\x80\x80", 0},
                                                        {"\xFF", 0}};
    for (const auto& [text, length] : rows)
        EXPECT_EQ(decode_front(text).length, length) << text;
    EXPECT_EQ(find_invalid_utf8("ab\xC3\xA9"), std::string::npos);
    EXPECT_EQ(find_invalid_utf8("ab\xFF\xC3\xA9"), 2U);
    EXPECT_EQ(replace_invalid_utf8("a\xFF\xFE\xC3\xA9\xC3"), "a\xEF\xBF\xBD\xEF\xBF\xBD\xC3\xA9\xEF\xBF\xBD");
}

TEST(Utf8, ADecodedCharacterIsItsCodePoint) {
    EXPECT_EQ(decode_front("ab").value, U'a');
    EXPECT_EQ(decode_front("\xC3\xA9").value, U'\u00E9');
    EXPECT_EQ(decode_front("\xE2\x82\xAC").value, U'\u20AC');
    EXPECT_EQ(decode_front("\xF0\x9F\x98\x80").value, U'\U0001F600');
    EXPECT_EQ(decode_front("").length, 0U);
}

TEST(Utf8, ATextIsUtf8WhenEveryCharacterIs) {
    for (const std::string good : {"", "plain", "\xC3\xBCml\xC3\xA4ut", "\xEF\xBF\xBD"})
        EXPECT_TRUE(is_utf8(good)) << good;
    for (const std::string bad : {"\xff", "a\x80", "\xE2\x82"})
        EXPECT_FALSE(is_utf8(bad));
}

TEST(Utf8, WhatReordersOrHidesItsNeighboursIsUnsafeToShow) {
    for (const char32_t c : {U'\0', U'\n', U'\x1b', U'\x7f', U'\x9b', U'\u200B', U'\u200F', U'\u2028',
                             U'\u202E', U'\u2060', U'\u2069', U'\uFEFF'})
        EXPECT_TRUE(is_unsafe_to_show(c)) << std::hex << static_cast<unsigned>(c);
    for (const char32_t c : {U' ', U'a', U'\u00A0', U'\u00E9', U'\u2013', U'\U0001F600'})
        EXPECT_FALSE(is_unsafe_to_show(c)) << std::hex << static_cast<unsigned>(c);
}

}  // namespace
}  // namespace nsa::language
