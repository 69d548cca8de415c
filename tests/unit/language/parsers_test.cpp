#include "language/parsers/parsers.hpp"

#include <gmock/gmock.h>

namespace nsa::language {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> errors_of(const ParsedRecords& parsed) {
    std::vector<std::string> texts;
    for (const Error& error : parsed.errors)
        texts.push_back(error.describe());
    return texts;
}

OutputParser csv(std::vector<std::string> columns = {"ms"}, std::vector<std::string> labels = {"S"}) {
    return {ParserKind::kCsv, "a.csv", "", "", "", std::move(columns), std::move(labels), {{"ms", "ms"}}};
}
OutputParser regex(std::string pattern) {
    return {ParserKind::kRegex, "stdout", std::move(pattern), "loss", "nat", {}, {}, {}};
}
const OutputParser kJunit{ParserKind::kJunit, "junit.xml", "", "", "", {}, {}, {}};
const OutputParser kJsonLines{ParserKind::kJsonLines, "stdout", "", "", "", {}, {}, {}};

Record ms(double value, const char* row, int sample = 0) {
    return Measurement{"ms", value, "ms", {{"S", row}}, sample};
}

TEST(CsvTest, MakesOneSamplePerRowAndCountsThemByLabel) {
    const ParsedRecords parsed = parse_output(csv(), "S,ms,note\n512,1.5,a\n1024,2e-3,b\n512,+3,c\n");
    EXPECT_THAT(parsed.errors, IsEmpty());
    EXPECT_THAT(parsed.records, ElementsAre(ms(1.5, "512"), ms(2e-3, "1024"), ms(3, "512", 1)));
}

TEST(CsvTest, ReadsByteOrderMarkQuotesAndCarriageReturns) {
    const ParsedRecords parsed =
        parse_output(csv(), "\xEF\xBB\xBF\"S\",\"ms\"\r\n\"5,\"\"12\"\"\", 1.5 \r\n\r\n\"two\nlines\",\"2\"");
    EXPECT_THAT(errors_of(parsed), IsEmpty());
    EXPECT_THAT(parsed.records, ElementsAre(ms(1.5, "5,\"12\""), ms(2, "two\nlines")));
}

TEST(CsvTest, EveryValueThatIsNotAFiniteDecimalIsARowError) {
    const ParsedRecords parsed =
        parse_output(csv(), "S,ms\n1,nan\n2,inf\n3,1e400\n4,\n5,\"1,5\"\n6,0x10\n7,1.5ms\n8,1\n9,1_000\n");
    EXPECT_THAT(parsed.records, ElementsAre(ms(1, "8")));
    EXPECT_THAT(
        errors_of(parsed),
        ElementsAre("a.csv, line 2: column 'ms': 'nan' is not finite",
                    "a.csv, line 3: column 'ms': 'inf' is not finite",
                    "a.csv, line 4: column 'ms': '1e400' does not fit a double",
                    "a.csv, line 5: column 'ms': the value is empty",
                    "a.csv, line 6: column 'ms': '1,5' is not a number; write the decimal point as '.'",
                    "a.csv, line 7: column 'ms': '0x10' is not a number",
                    "a.csv, line 8: column 'ms': '1.5ms' is not a number",
                    "a.csv, line 10: column 'ms': '1_000' is not a number"));
}

TEST(CsvTest, RaggedRowsAndOpenQuotesAreErrorsOfTheirLine) {
    EXPECT_THAT(errors_of(parse_output(csv(), "S,ms\n1,2,3\n1\n2,3\n")),
                ElementsAre("a.csv, line 2: the row has 3 cells, the header 2",
                            "a.csv, line 3: the row has 1 cells, the header 2"));
    EXPECT_THAT(errors_of(parse_output(csv(), "S,ms\n1,2\n\"3,4\n5,6\n")),
                ElementsAre("a.csv, line 5: a quote is never closed"));
}

TEST(CsvTest, AMissingColumnSaysWhatThereIs) {
    EXPECT_THAT(errors_of(parse_output(csv({"us"}), "S,ms\n1,2\n")),
                ElementsAre("a.csv, line 1: no column 'us'; the file has S, ms"));
    EXPECT_THAT(errors_of(parse_output(csv(), "S;ms\n1;2,5\n")),
                ElementsAre("a.csv, line 1: no column 'ms'; the file has S;ms (columns are separated by "
                            "commas, not by ';')"));
}

TEST(CsvTest, NothingMeasuredIsAnErrorNeverAnEmptySuccess) {
    EXPECT_THAT(errors_of(parse_output(csv(), "")), ElementsAre("a.csv: nothing was measured in it"));
    EXPECT_THAT(errors_of(parse_output(csv(), "S,ms\n")), ElementsAre("a.csv: nothing was measured in it"));
}

TEST(CsvTest, AFloodOfRowsAndErrorsIsBounded) {
    std::string rows = "S,ms\n", bad = "S,ms\n";
    for (int i = 0; i < 120000; ++i) {
        rows += "1,2\n";
        bad += "1,x\n";
    }
    const ParsedRecords flood = parse_output(csv(), rows);
    EXPECT_EQ(flood.records.size(), 100000U);
    EXPECT_THAT(errors_of(flood), ElementsAre("a.csv: more than 100000 records; the rest was not read"));
    const ParsedRecords errors = parse_output(csv(), bad);
    EXPECT_EQ(errors.errors.size(), 101U);
    EXPECT_EQ(errors.errors.back().text, "and 119900 more errors");
}

std::map<std::string, double> metrics_of(const ParsedRecords& parsed) {
    std::map<std::string, double> metrics;
    for (const Record& record : parsed.records) {
        if (const auto* measured = std::get_if<Measurement>(&record))
            metrics[measured->metric] = measured->value;
    }
    return metrics;
}

TEST(JunitTest, CountsWhatPytestWrites) {
    const ParsedRecords parsed = parse_output(kJunit, R"(<?xml version="1.0" encoding="utf-8"?>
<testsuites><!-- <testcase name="no"/> --><testsuite name="pytest" errors="9" failures="9" skipped="9" tests="99">
<testcase classname="t.a" name="ok" time="0.1"/>
<testcase classname="t.a" name="bad &lt;1&gt; &#x41;"><failure message="MAE 0.7 &gt; 2e-4">trace <![CDATA[</testcase><testcase/>]]></failure></testcase>
<testcase classname="t.b" name="fixture"><error message="no GPU"/></testcase>
<testcase name='skipped'><skipped type="pytest.skip" message="no cuda"/></testcase>
</testsuite></testsuites>)");
    EXPECT_THAT(errors_of(parsed), IsEmpty());
    EXPECT_EQ(metrics_of(parsed), (std::map<std::string, double>{{"tests_total", 4},
                                                                 {"tests_passed", 1},
                                                                 {"tests_failed", 1},
                                                                 {"tests_errors", 1},
                                                                 {"tests_skipped", 1}}));
    EXPECT_EQ(parsed.records[0], Record(Fact{"failed_test", "t.a.bad <1> A: MAE 0.7 > 2e-4", {}}));
    EXPECT_EQ(parsed.records[1], Record(Fact{"failed_test", "t.b.fixture: no GPU", {}}));
}

TEST(JunitTest, CountsGoogleTestsDisabledAndSkippedTestsAsSkipped) {
    const ParsedRecords parsed = parse_output(kJunit, R"(<testsuites><testsuite>
<testcase name="a" status="run" result="completed"/><testcase name="b" status="notrun" result="suppressed"/>
<testcase name="c" status="run" result="skipped"><skipped message="x"/></testcase></testsuite></testsuites>)");
    EXPECT_EQ(metrics_of(parsed).at("tests_passed"), 1);
    EXPECT_EQ(metrics_of(parsed).at("tests_skipped"), 2);
}

TEST(JunitTest, AllSkippedIsASkipAndNoTestIsAnError) {
    const ParsedRecords skipped = parse_output(
        kJunit, "<testsuite><testcase><skipped/></testcase><testcase><skipped/></testcase></testsuite>");
    EXPECT_EQ(skipped.records.back(), Record(Skip{"all 2 tests were skipped"}));
    EXPECT_THAT(errors_of(parse_output(kJunit, "<testsuites tests=\"5\"/>")),
                ElementsAre("junit.xml: no <testcase> in it: zero tests are no pass"));
}

TEST(JunitTest, DocumentTypesAndEntityBombsAreRefusedNotExpanded) {
    for (
        const char* bomb :
        {R"(<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>)",
         R"(<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuite/>)", "<!doctype x><testsuite/>",
         "<testsuite><!ENTITY a 'b'><testcase/></testsuite>"}) {
        const ParsedRecords parsed = parse_output(kJunit, bomb);
        EXPECT_THAT(parsed.records, IsEmpty());
        ASSERT_EQ(parsed.errors.size(), 1U) << bomb;
        EXPECT_THAT(parsed.errors[0].text, HasSubstr("declaration is refused"));
    }
}

TEST(JunitTest, MalformedXmlIsAnErrorOfItsLine) {
    const std::vector<std::pair<std::string, std::string>> cases{
        {"", "no element in it"},
        {"just text", "no element in it"},
        {"<testsuite>\n<testcase>\n</testsuite>", "the end of element 'testsuite' has no start"},
        {"<testsuite>\n<testcase/>", "element 'testsuite' is never closed"},
        {"</testsuite>", "the end of element 'testsuite' has no start"},
        {"<testsuite a=1/>", "element 'testsuite': attribute 'a' has no quotes"},
        {"<testsuite a>", "element 'testsuite': attribute 'a' has no value"},
        {"<testsuite a='1>", "element 'testsuite': the quotes of attribute 'a' are never closed"},
        {"<a'b></a'b>", "element 'a': expected an attribute, '>' or '/>'"},
        {"<testsuite", "element 'testsuite': expected an attribute, '>' or '/>'"},
        {"<testsuite><!-- ", "a comment is never closed"},
        {"<testsuite><![CDATA[ ", "a CDATA section is never closed"},
        {"<?xml ", "a processing instruction is never closed"},
        {"< a/>", "a '<' that starts no element"},
    };
    for (const auto& [text, fault] : cases) {
        const ParsedRecords parsed = parse_output(kJunit, text);
        ASSERT_EQ(parsed.errors.size(), 1U) << text;
        EXPECT_EQ(parsed.errors[0].text, "not the XML of a test report: " + fault) << text;
    }
    EXPECT_EQ(parse_output(kJunit, "<a>\n\n</b>").errors[0].where, "junit.xml, line 3");
}

TEST(JunitTest, HostileNestingIsRefusedHoweverItIsHidden) {
    std::string plain, in_attribute, in_instruction;
    for (int i = 0; i < 200000; ++i) {
        plain += "<a>";
        in_attribute += "<a x=\"/>\">";
        in_instruction += "<?x </a> ?><a>";
    }
    for (const std::string& text : {plain, in_attribute, in_instruction}) {
        const ParsedRecords parsed = parse_output(kJunit, text);
        ASSERT_EQ(parsed.errors.size(), 1U);
        EXPECT_THAT(parsed.errors[0].text, HasSubstr("nest deeper than 64"));
    }
}

TEST(JsonLinesTest, ReadsRecordsAndNamesTheFileInErrors) {
    const ParsedRecords parsed = parse_output(kJsonLines, "{\"metric\":\"a\",\"value\":1}\nhello\n");
    EXPECT_EQ(parsed.records.size(), 1U);
    ASSERT_EQ(parsed.errors.size(), 1U);
    EXPECT_EQ(parsed.errors[0].where, "stdout, line 2");
    EXPECT_THAT(errors_of(parse_output(kJsonLines, "")), ElementsAre("stdout: nothing was measured in it"));
}

TEST(RegexTest, EveryMatchIsASample) {
    const ParsedRecords parsed = parse_output(regex("^step \\d+ loss=(\\S+)$"),
                                              "step 1 loss=2.5\nnoise\nstep 2 loss=1e-3\n xstep 3 loss=9\n");
    EXPECT_THAT(errors_of(parsed), IsEmpty());
    EXPECT_THAT(parsed.records, ElementsAre(Record(Measurement{"loss", 2.5, "nat", {}, 0}),
                                            Record(Measurement{"loss", 1e-3, "nat", {}, 1})));
}

TEST(RegexTest, AMatchThatIsNoNumberIsAnErrorOfItsLine) {
    const ParsedRecords parsed = parse_output(regex("loss=(\\S+)"), "loss=1\n\nloss=nan\nloss=1,5\n");
    EXPECT_EQ(parsed.records.size(), 1U);
    EXPECT_THAT(errors_of(parsed),
                ElementsAre("stdout, line 3: 'nan' is not finite",
                            "stdout, line 4: '1,5' is not a number; write the decimal point as '.'"));
}

TEST(RegexTest, NoMatchIsAnError) {
    EXPECT_THAT(errors_of(parse_output(regex("loss=(\\S+)"), "nothing")),
                ElementsAre("stdout: nothing was measured in it"));
}

TEST(RegexTest, EmptyAndBinaryMatchesComeToAnEnd) {
    EXPECT_EQ(parse_output(regex("(\\d*)"), "a1b").records.size(), 1U);
    EXPECT_EQ(parse_output(regex("x|(\\d+)"), "x 7 x").records.size(), 1U);
    EXPECT_EQ(parse_output(regex("v=(\\d+)"), std::string_view("\xff\xfe\0v=7\xff", 8)).records.size(), 1U);
}

TEST(RegexTest, PatternsAreCheckedBeforehand) {
    EXPECT_TRUE(check_pattern("loss=([0-9.]+)"));
    EXPECT_THAT(check_pattern("loss=(").error().text, HasSubstr("not a pattern that RE2 takes: missing )"));
    EXPECT_EQ(check_pattern("loss").error().text,
              "the pattern has 0 groups; expected exactly one, around the number");
    EXPECT_EQ(check_pattern("(a)(b)").error().text,
              "the pattern has 2 groups; expected exactly one, around the number");
    EXPECT_FALSE(check_pattern("(((a{1000}){1000}){1000})"));
}

}  // namespace
}  // namespace nsa::language
