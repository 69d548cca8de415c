// Untrusted text in Markdown and HTML.
#include "reports/text.hpp"

#include <gmock/gmock.h>

#include <cmath>

#include "reports/render.hpp"
#include "synthetic.hpp"

namespace nsa::reports {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string html_of(const std::string& markdown) {
    const std::string page = render_html(markdown, "t", {});
    return page.substr(page.find("<body>"));
}

TEST(Text, Control_characters_direction_marks_and_bad_bytes_are_gone) {
    EXPECT_EQ(clean("a\x1b[31mb\x07"
                    "c\td\ne"),
              "a[31mbc d e");
    EXPECT_EQ(clean("\xe2\x80\xae"
                    "abc\xef\xbb\xbf\xc2\x85"),
              "abc");
    EXPECT_EQ(clean("\xff\xc0\xaf\xed\xa0\x80"),
              "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    EXPECT_EQ(clean("gr\xc3\xbc\xc3\x9f"
                    "e \xe2\x9c\x85"),
              "gr\xc3\xbc\xc3\x9f"
              "e \xe2\x9c\x85");
}

TEST(Text, Long_text_is_cut_between_characters) {
    const std::string cut = clean(std::string(10, 'a') +
                                      "\xc3\xbc"
                                      "b",
                                  11);
    EXPECT_EQ(cut, std::string(10, 'a') + "\xE2\x80\xA6");
}

TEST(Text, Escaped_text_looks_in_html_as_it_was_written) {
    for (const char* text :
         {"**bold**", "_under_", "a_b", "[x](y)", "`code`", "<b>", "a <= b", "&lt;", "# h", "1. one",
          "- item", "> quote", "~~no~~", "![i](x)", "\\", "a|b", "$x$", "http://x.y"}) {
        const std::string html = html_of("Q " + escape(text) + "\n");
        std::string expected;
        for (char c : std::string_view(text)) {
            expected += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
        }
        EXPECT_THAT(html, HasSubstr("<p>Q " + expected + "</p>")) << text;
    }
}

TEST(Text, Text_at_the_start_of_a_line_begins_no_block) {
    for (const char* text :
         {"# h", "1. one", "12) x", "--- x", "= =", "- item", "+ item", "> quote", "=====", "---", "```"}) {
        const std::string html = html_of(escape(text) + "\n");
        EXPECT_THAT(html, HasSubstr("<p>")) << text;
        for (const char* tag : {"<h1", "<ol", "<ul", "<blockquote", "<pre", "<hr"})
            EXPECT_THAT(html, Not(HasSubstr(tag))) << text;
    }
}

TEST(Text, Code_cannot_be_left) {
    EXPECT_THAT(html_of(code_span("a`b``c")), HasSubstr("<code>a`b``c</code>"));
    EXPECT_THAT(html_of(code_span("`x`")), HasSubstr("<code>`x`</code>"));
    const std::string block = html_of(code_block("x\n````\n<b>\n# y", "bash"));
    EXPECT_THAT(block, HasSubstr("x\n````\n&lt;b&gt;\n# y\n</code></pre>"));
}

TEST(Text, A_link_stays_below_the_reports_folder_whatever_the_file_is_called) {
    EXPECT_EQ(link("a", "1/steps/x y/(z).csv"), "[a](1/steps/x%20y/%28z%29.csv)");
    EXPECT_EQ(link("a", "javascript:alert(1)"), "[a](javascript%3Aalert%281%29)");
}

TEST(Text, Numbers_are_short_and_exact_where_they_can_be) {
    EXPECT_EQ(number(0.000060324), "6.032e-05");
    EXPECT_EQ(number(0.76644), "0.7664");
    EXPECT_EQ(number(2048), "2048");
    EXPECT_EQ(number(123456789), "123456789");
    EXPECT_EQ(number(std::nan("")), "nan");
    EXPECT_EQ(number(-HUGE_VAL), "-inf");
    EXPECT_EQ(percent(1.0051), "100.5%");
    EXPECT_EQ(bytes(1536), "1.5 KiB");
    EXPECT_EQ(seconds(184), "3 min 04 s");
    EXPECT_EQ(seconds(7265), "2 h 01 min 05 s");
    EXPECT_EQ(utc(1'795'435'200'000), "2026-11-23 12:00:00 UTC");
}

TEST(Text, A_subject_becomes_a_safe_file_name) {
    EXPECT_EQ(file_subject("FA2 Routing Verification"), "FA2 Routing Verification");
    EXPECT_EQ(file_subject("../../etc/passwd"), "etc passwd");
    EXPECT_EQ(file_subject("a/b\\c:d\n<e>"), "a b c d e");
    EXPECT_EQ(file_subject("..."), "Experiment");
    EXPECT_EQ(file_subject(""), "Experiment");
    EXPECT_EQ(file_subject(std::string(300, 'x')).size(), 80U);
}

// Every text of this run comes from an enemy.
TEST(Html, Hostile_text_makes_no_element_and_no_verdict) {
    const Rendered rendered = render(synthetic::hostile());
    const std::string body = rendered.html.substr(rendered.html.find("<body>"));
    for (const char* bad : {"<script", "<img", "href=\"javascript", "href=\"http", "\x1b", "\x07",
                            "\xe2\x80\xae", "\xff", ">PASS</strong>"})
        EXPECT_THAT(body, Not(HasSubstr(bad))) << bad;
    EXPECT_THAT(body, HasSubstr("&lt;script&gt;"));
    std::size_t headings = 0;
    for (std::size_t at = body.find("<h1>"); at != std::string::npos; at = body.find("<h1>", at + 1))
        ++headings;
    EXPECT_EQ(headings, 1U);
}

TEST(Html, The_page_needs_nothing_from_elsewhere) {
    const std::string html = render(synthetic::gpu_pass()).html;
    for (const char* outside : {"http://", "https://", "src=", "@import", "url("})
        EXPECT_THAT(html, Not(HasSubstr(outside))) << outside;
    EXPECT_THAT(html,
                HasSubstr("<title>2026-11-23 Test Engineer Report - FA2 Routing Verification v2</title>"));
    EXPECT_THAT(html, HasSubstr("<strong class=\"word good\">PASS</strong>"));
}

}  // namespace
}  // namespace nsa::reports
