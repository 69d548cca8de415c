// The files nsa-core writes: JSON lines and CSV.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <numbers>

#include "nsa_core/tools/csv.hpp"
#include "nsa_core/tools/results.hpp"

namespace nsa::core::tools {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class OutputFiles : public ::testing::Test {
  protected:
    OutputFiles() {
        std::string name = (fs::temp_directory_path() / "nsa-output-XXXXXX").string();
        folder_ = mkdtemp(name.data());
    }
    ~OutputFiles() override { fs::remove_all(folder_); }

    static std::string text_of(const fs::path& path) {
        std::ifstream file{path, std::ios::binary};
        return {std::istreambuf_iterator<char>{file}, {}};
    }

    fs::path folder_;
};

TEST(ResultLines, CarryNameValueUnitLabelsAndSample) {
    EXPECT_EQ(json_line(Metric{
                  .name = "ms_total", .value = 1.5, .unit = "ms", .labels = {{"S", "512"}}, .sample = 3}),
              R"({"metric":"ms_total","value":1.5,"unit":"ms","labels":{"S":"512"},"sample":3})");
    EXPECT_EQ(json_line(Metric{.name = "mae", .value = 0}), R"({"metric":"mae","value":0,"unit":"1"})");
    EXPECT_EQ(
        json_line(Fact{.name = "route_taken", .value = "sdpa", .labels = {{"branch", "win"}, {"S", "8"}}}),
        R"({"fact":"route_taken","value":"sdpa","labels":{"branch":"win","S":"8"}})");
    EXPECT_EQ(json_skip_line("no GPU"), R"({"skip":"no GPU"})");
}

TEST(ResultLines, NumbersSurviveTheTripUnchanged) {
    for (const double value :
         {std::numbers::pi, 0.1, 1.0 / 3, 6.03e-5, 5e-324, 1.7976931348623157e308, -0.0}) {
        EXPECT_EQ(std::strtod(json_number(value).c_str(), nullptr), value);
    }
}

TEST(ResultLines, WhatJsonHasNoNumberForIsText) {
    EXPECT_EQ(json_number(std::numeric_limits<double>::quiet_NaN()), "\"nan\"");
    EXPECT_EQ(json_number(-std::numeric_limits<double>::quiet_NaN()), "\"nan\"");
    EXPECT_EQ(json_number(std::numeric_limits<double>::infinity()), "\"inf\"");
    EXPECT_EQ(json_number(-std::numeric_limits<double>::infinity()), "\"-inf\"");
}

TEST(ResultLines, TextIsEscapedAndStaysOnOneLine) {
    EXPECT_EQ(json_text("a\"b\\c\nd\te\r\x01\x1f"), R"("a\"b\\c\nd\te\r\u0001\u001f")");
    EXPECT_EQ(json_text("caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"),
              "\"caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\"");
}

TEST(ResultLines, BytesThatAreNoUtf8BecomeTheReplacementCharacter) {
    const std::string replaced = "\xEF\xBF\xBD";
    EXPECT_EQ(json_text("a\xFFz"), "\"a" + replaced + "z\"");
    EXPECT_EQ(json_text("\xC3"), "\"" + replaced + "\"");                                // cut short
    EXPECT_EQ(json_text("\xC0\xAF"), "\"" + replaced + replaced + "\"");                 // overlong
    EXPECT_EQ(json_text("\xED\xA0\x80"), "\"" + replaced + replaced + replaced + "\"");  // surrogate
}

TEST_F(OutputFiles, ResultsAreAppendedAndVisibleAtOnce) {
    const fs::path path = folder_ / "results.jsonl";
    ResultsWriter first{path};
    first.write(Metric{.name = "mae", .value = 1});
    EXPECT_EQ(text_of(path), "{\"metric\":\"mae\",\"value\":1,\"unit\":\"1\"}\n");
    ResultsWriter second{path};
    second.write_skip("later");
    EXPECT_EQ(text_of(path), "{\"metric\":\"mae\",\"value\":1,\"unit\":\"1\"}\n{\"skip\":\"later\"}\n");
}

TEST_F(OutputFiles, AResultsFileThatCannotBeWrittenIsNamed) {
    const fs::path path = folder_ / "absent" / "results.jsonl";
    EXPECT_THAT([&] { ResultsWriter{path}; }, ThrowsMessage<std::runtime_error>(HasSubstr(path.string())));
    ResultsWriter full{"/dev/full"};
    EXPECT_THAT([&] { full.write_skip("x"); },
                ThrowsMessage<std::runtime_error>(HasSubstr("No space left on device")));
}

TEST_F(OutputFiles, CsvQuotesOnlyWhatNeedsItAndReplacesAnEarlierFile) {
    const fs::path path = folder_ / "decode.csv";
    CsvWriter{path, {"old"}};
    CsvWriter csv{path, {"S", "note"}};
    csv.row({"512", "plain"});
    csv.row({"1024", "a, \"b\"\nc"});
    EXPECT_EQ(text_of(path), "S,note\n512,plain\n1024,\"a, \"\"b\"\"\nc\"\n");
}

TEST_F(OutputFiles, ACsvRowOfAnotherWidthIsABug) {
    CsvWriter csv{folder_ / "x.csv", {"a", "b"}};
    EXPECT_THROW(csv.row({"1"}), std::logic_error);
}

TEST_F(OutputFiles, ACsvFileThatCannotBeWrittenIsNamed) {
    const fs::path path = folder_ / "absent" / "x.csv";
    const std::vector<std::string> header{"a"};
    EXPECT_THAT([&] { CsvWriter(path, header); },
                ThrowsMessage<std::runtime_error>(HasSubstr(path.string())));
}

}  // namespace
}  // namespace nsa::core::tools
