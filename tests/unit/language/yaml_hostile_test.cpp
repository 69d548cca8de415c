// Text made to hurt: every document is refused within 50 ms, with a place, and never crashes the reader.
#include <gmock/gmock.h>

#include <ctime>
#include <random>

#include "language/yaml/reader.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double kLimitSeconds = 1.0;  // sanitizers slow everything by an order of magnitude
#else
constexpr double kLimitSeconds = 0.05;
#endif

namespace nsa::language {
namespace {

using testing::HasSubstr;

std::string repeated(std::string_view piece, int count) {
    std::string text;
    for (int i = 0; i < count; ++i)
        text += piece;
    return text;
}

double cpu_seconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void expect_refused(const std::string& name, const std::string& yaml, const std::string& reason) {
    SCOPED_TRACE(name);
    // Processor time, and the best of three: a busy machine is not the reader's fault.
    SpecReading reading;
    double spent = kLimitSeconds + 1;
    for (int attempt = 0; attempt < 3 && spent > kLimitSeconds; ++attempt) {
        const double start = cpu_seconds();
        reading = read_spec(yaml, "f");
        spent = cpu_seconds() - start;
    }
    EXPECT_LE(spent, kLimitSeconds);
    ASSERT_FALSE(reading.diagnostics.empty());
    EXPECT_LE(reading.diagnostics.size(), 100U);
    std::string all;
    for (const Diagnostic& diagnostic : reading.diagnostics) {
        EXPECT_GE(diagnostic.line, 1);
        EXPECT_GE(diagnostic.column, 1);
        all += diagnostic.text + "\n";
    }
    EXPECT_THAT(all, HasSubstr(reason));
}

TEST(HostileYamlTest, SelfReferencesAndAliasBombsAreRefused) {
    expect_refused("self reference", "&x [*x]", "an alias is not part of the language");
    expect_refused("self reference in a map", "&x {a: *x}", "an anchor is not part of the language");
    std::string laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";
    for (int i = 1; i < 10; ++i) {
        const std::string before = "*a" + std::to_string(i - 1);
        laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before +
                  repeated(", " + before, 8) + "]\n";
    }
    expect_refused("billion laughs", laughs, "an anchor is not part of the language");
    expect_refused("merge of an alias", "a: &a {b: 1}\nc:\n  <<: *a\n",
                   "a merge key is not part of the language");
    expect_refused("unknown alias", "a: *nowhere\n", "not YAML");
}

TEST(HostileYamlTest, DepthIsBounded) {
    for (int depth : {33, 1000, 4000, 100000}) {
        expect_refused("lists", repeated("[", depth), "");
        expect_refused("maps", repeated("{a: ", depth), "");
        expect_refused("closed lists", repeated("[", depth) + repeated("]", depth), "");
        expect_refused("block lists", repeated("- ", depth), "");
        expect_refused("question marks", repeated("? ", depth), "");
    }
    std::string indented;
    for (int i = 0; i < 200; ++i)
        indented += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
    expect_refused("indented maps", indented, "nest deeper than 32");
}

TEST(HostileYamlTest, SizeIsBounded) {
    expect_refused("too many bytes", repeated("a: xxxxx\n", 65536), "the document has 589824 bytes");
    expect_refused("gigantic", std::string(std::size_t{64} << 20, 'x'), "the document has 67108864 bytes");
    std::string keys;
    for (int i = 0; i < 100000; ++i)
        keys += "k" + std::to_string(i) + ": 1\n";
    keys.resize(keys.rfind('\n', 500000) + 1);
    expect_refused("many keys", keys, "more than 10000 values");
    expect_refused("list of many", "[\n" + repeated("1, 1, 1, 1,\n", 30000) + "]",
                   "120001 commas and brackets");
    expect_refused("list of fewer", "[\n" + repeated("1, 1, 1, 1,\n", 4900) + "]", "more than 10000 values");
    expect_refused("lists line by line", repeated("[\n", 150000), "commas and brackets");
    expect_refused("maps line by line", repeated("{a:\n", 19000), "nest deeper than 32");
    expect_refused("questions line by line", repeated("?\n", 250000), "");
    expect_refused("duplicates", repeated("a: 1\n", 4000), "the key 'a' is there twice");
    for (const char* piece : {"x", "1,", "[", "{a: ", "- ", "#", " ", "\"", "&"}) {
        expect_refused("one long line",
                       repeated(piece, 500000 / static_cast<int>(std::string_view(piece).size())),
                       "the line has 500000 bytes");
    }
    expect_refused("block scalar", "a: |\n" + repeated("  xxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n", 16000),
                   "unknown key 'a'");
    expect_refused("folded scalar", "a: x\n" + repeated("  x\n", 120000), "unknown key 'a'");
    expect_refused("quoted scalar", "a: \"" + repeated("  x\n", 120000) + "\"", "unknown key 'a'");
    expect_refused("comments", repeated("#\n", 250000), "the document is empty");
    expect_refused("blank lines", std::string(std::size_t{512} << 10, '\n'), "the document is empty");
}

TEST(HostileYamlTest, BrokenBytesAreRefusedWithTheirPlace) {
    for (const char* bytes :
         {"\xff\xfe"
          "a",
          "\xfe\xff"
          "a",
          "a: \xc0\x80", "a: \xed\xa0\x80", "a: \xf5\x80\x80\x80", "a: \xe2\x82", "a: \x80"}) {
        expect_refused(bytes, bytes, "these bytes are not UTF-8");
    }
    expect_refused("utf-16", std::string("a\0:\0 \0b\0", 8), "the control character \\x00");
    expect_refused("escape", "a: \x1b[31m", "the control character \\x1b");
    expect_refused("delete", "a: \x7f", "the control character");
}

TEST(HostileYamlTest, TagsDirectivesAndStreamsAreRefused) {
    expect_refused("python object", "!!python/object/apply:os.system ['id']",
                   "a tag is not part of the language");
    expect_refused("tag directive", "%TAG ! tag:x,2000:\n---\n!a b", "a tag is not part of the language");
    expect_refused("bad directive", "%YAML 9.9\n---\na: 1", "");
    expect_refused("binary", "a: !!binary aGk=", "a tag is not part of the language");
    expect_refused("many documents", repeated("---\na: 1\n", 5000), "a second document");
    expect_refused("only separators", repeated("---\n", 100000), "");
    expect_refused("document end", "...\n...\n", "");
}

TEST(HostileYamlTest, SyntaxFragmentsAreRefused) {
    for (const char* text : {"[",
                             "{",
                             "]",
                             "}",
                             ":",
                             "-",
                             "?",
                             "|",
                             ">",
                             "'",
                             "\"",
                             "%",
                             "@",
                             "`",
                             "&",
                             "*",
                             "!",
                             "a: b: c",
                             "a:\n\t- b",
                             "- a\nb: c",
                             "\"\\x\"",
                             "a: 'b",
                             "a: [b",
                             "a: {b",
                             "{a: b, c}",
                             "? a\n? b",
                             "a: |9\n b",
                             "---",
                             "--- a\n--- b",
                             ": :",
                             "- - - -",
                             "[[[[[]",
                             "{{{{}",
                             "? {",
                             "#",
                             "<<: 1",
                             "a: >-\n",
                             "!<tag> a",
                             "&a &b c",
                             "* ",
                             "\"\\u12\"",
                             "a: \"\\ud800\"",
                             "%",
                             "%FOO",
                             "null",
                             "~",
                             "[]",
                             "{}",
                             "- ",
                             "0",
                             "{? : }"}) {
        expect_refused(text, text, "");
    }
}

TEST(HostileYamlTest, ValuesThatTryToExplodeAreRefused) {
    const std::string head = "version: 1\nname: x\n";
    std::string values;
    for (int i = 0; i < 900; ++i)
        values += std::to_string(i) + ",";
    expect_refused("matrix product",
                   head + "matrix: {a: [" + values + "], b: [" + values +
                       "]}\nsteps: [{id: a, run: ['${{ matrix.a }}${{ matrix.b }}']}]",
                   "more than 4096 cases");
    expect_refused("placeholders", head + "steps: [{id: a, run: ['" + repeated("${{", 100000) + "']}]", "");
    expect_refused("regex bomb",
                   head +
                       "steps: [{id: a, run: [x], metrics: [{parse: regex, metric: m, pattern: "
                       "'(((a{1000}){1000}){1000})'}]}]",
                   "pattern");
    expect_refused("huge number",
                   head + "steps: [{id: a, run: [x], checks: [a < " + repeated("9", 10000) + "]}]",
                   "the check compares with");
    expect_refused("huge duration",
                   head + "timeouts: {run: " + repeated("9", 1000) + "s}\nsteps: [{id: a, run: [x]}]",
                   "'run' is");
    expect_refused("long unknown key", head + std::string(100000, 'k') + ": 1\nsteps: [{id: a, run: [x]}]",
                   "");
}

TEST(HostileYamlTest, MessagesShowControlCharactersInert) {
    const SpecReading reading =
        read_spec("version: 1\nname: \"\\e[31m\\n|<b>\"\nsteps: [{id: a, run: [x]}]", "f");
    ASSERT_EQ(reading.diagnostics.size(), 1U);
    EXPECT_THAT(reading.diagnostics[0].text, HasSubstr("'\\x1b[31m\\n|<b>'"));
}

// Any edit of a good document is read or refused, in time, without a crash.
TEST(HostileYamlTest, MutatedDocumentsNeverCrashTheReader) {
    const std::string good =
        "version: 1\nname: x\nmatrix: {k: [1, 2]}\nenv: {NSA_TEST_FA2: 1}\nsteps:\n  - id: a\n    run: [x, "
        "'${{ matrix.k }}']\n    checks: [mae <= 2e-4, "
        "{finite: [m]}]\n    metrics: [{parse: csv, columns: [m]}]\n  - id: b\n    kind: parity\n    params: "
        "{branch: sliding}\n    checks: [mae <= 1]\n";
    constexpr std::string_view kBytes = "[]{}:,-?&*!|>'\"%@`#\n\t \\\0\xff$0az~<";
    std::mt19937 random(20261123);
    const auto below = [&](std::size_t n) { return random() % n; };
    int refused = 0;
    for (int round = 0; round < 3000; ++round) {
        std::string text = good;
        for (std::size_t edits = 1 + below(6); edits > 0; --edits) {
            const std::size_t place = below(text.size());
            if (below(3) == 0) {
                text.erase(place, 1 + below(12));
            } else if (below(2) == 0) {
                text.insert(place, 1, kBytes[below(kBytes.size())]);
            } else {
                text[place] = kBytes[below(kBytes.size())];
            }
        }
        refused += read_spec(text, "f").diagnostics.empty() ? 0 : 1;
    }
    EXPECT_GT(refused, 1500);
}

}  // namespace
}  // namespace nsa::language
