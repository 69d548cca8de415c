// JUnit XML as pytest, GoogleTest, ctest and gradle write it. Counts are taken from the test cases
// themselves, not from the sums in the header, which writers get wrong.
#include <optional>

#include "language/parsers/parts.hpp"
#include "language/parsers/xml_scan.hpp"
#include "language/text.hpp"

namespace nsa::language {

namespace {

constexpr int kMostFailedTests = 50;  // facts; beyond, only the count tells

enum class TestEnd { kPassed, kFailed, kError, kSkipped };

struct OpenTest {
    std::string name;
    TestEnd end = TestEnd::kPassed;
    std::string message;
};

struct Counts {
    int total = 0, passed = 0, failed = 0, errors = 0, skipped = 0;
};

OpenTest open_test(const XmlToken& token) {
    OpenTest test;
    const std::string_view suite = token.attribute("classname"), status = token.attribute("status"),
                           result = token.attribute("result");
    test.name = (suite.empty() ? "" : std::string(suite) + ".") + std::string(token.attribute("name"));
    if (status == "notrun" || status == "disabled" || status == "skipped" || result == "skipped" ||
        result == "suppressed") {
        test.end = TestEnd::kSkipped;  // GoogleTest says it here
    }
    return test;
}

// <failure> outweighs <error>, which outweighs <skipped>.
void note_child(const XmlToken& token, OpenTest& test) {
    if (token.name == "failure" || (token.name == "error" && test.end != TestEnd::kFailed)) {
        test.end = token.name == "failure" ? TestEnd::kFailed : TestEnd::kError;
        test.message = token.attribute("message");
    } else if (token.name == "skipped" && test.end == TestEnd::kPassed) {
        test.end = TestEnd::kSkipped;
    }
}

void close_test(const OpenTest& test, Counts& counts, RecordSink& sink) {
    ++counts.total;
    switch (test.end) {
        case TestEnd::kPassed:
            ++counts.passed;
            return;
        case TestEnd::kSkipped:
            ++counts.skipped;
            return;
        case TestEnd::kFailed:
            ++counts.failed;
            break;
        case TestEnd::kError:
            ++counts.errors;
            break;
    }
    if (counts.failed + counts.errors > kMostFailedTests) return;
    const std::string message = test.message.empty() ? "" : ": " + printable(test.message, 200);
    sink.add(Record(Fact{"failed_test", printable(test.name, 200) + message, {}}));
}

void add_counts(const Counts& counts, RecordSink& sink) {
    const auto metric = [&](const char* name, int value) {
        sink.add(Measurement{name, static_cast<double>(value), "1", {}, 0});
    };
    metric("tests_total", counts.total);
    metric("tests_passed", counts.passed);
    metric("tests_failed", counts.failed);
    metric("tests_errors", counts.errors);
    metric("tests_skipped", counts.skipped);
    if (counts.skipped == counts.total) {
        sink.add(Record(Skip{"all " + std::to_string(counts.total) + " tests were skipped"}));
    }
}

}  // namespace

ParsedRecords parse_junit(const OutputParser&, std::string_view text) {
    RecordSink sink;
    Counts counts;
    std::optional<OpenTest> test;
    XmlScanner scanner(text);
    for (XmlToken token = scanner.next(); token.kind != XmlToken::Kind::kDone; token = scanner.next()) {
        if (token.kind == XmlToken::Kind::kFault) {
            sink.error(scanner.line(), "not the XML of a test report: " + token.fault);
            return sink.take();
        }
        const bool start = token.kind == XmlToken::Kind::kStart;
        if (token.name == "testcase" && start) {
            test = open_test(token);
        } else if (token.name == "testcase" && test) {
            close_test(*test, counts, sink);
            test.reset();
        } else if (start && test) {
            note_child(token, *test);
        }
    }
    if (counts.total == 0) {
        sink.error("no <testcase> in it: zero tests are no pass");
    } else {
        add_counts(counts, sink);
    }
    return sink.take();
}

}  // namespace nsa::language
