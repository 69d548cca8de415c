#include "language/record.hpp"

#include <gmock/gmock.h>

#include <boost/json.hpp>
#include <cmath>
#include <random>

#include "language/json_text.hpp"

namespace nsa::language {
namespace {

Measurement measured(double value) {
    return {"mae", value, "1", {{"S", "512"}}, 3};
}

TEST(RecordTest, EveryKindRoundTripsThroughJson) {
    const std::vector<Record> records{measured(6.0e-05), Measurement{"loss", -1.5, "", {}, 0},
                                      Fact{"route_taken", "fa2_dense", {{"branch", "sliding"}}},
                                      Fact{"route_reason", "", {}}, Skip{"no CUDA device is visible"}};
    for (const Record& record : records) {
        const Result<Record> back = record_from_json(to_json(record));
        ASSERT_TRUE(back) << back.error().describe();
        EXPECT_EQ(*back, record);
    }
}

TEST(RecordTest, NonFiniteNumbersTravelAsTexts) {
    EXPECT_EQ(boost::json::serialize(to_json(measured(HUGE_VAL))),
              R"({"metric":"mae","value":"inf","unit":"1","labels":{"S":"512"},"sample":3})");
    const Result<Record> negative = record_from_json(to_json(measured(-HUGE_VAL)));
    EXPECT_EQ(*negative, Record(measured(-HUGE_VAL)));
    const Result<Record> nan = record_from_json(to_json(measured(std::nan(""))));
    EXPECT_TRUE(std::isnan(std::get<Measurement>(*nan).value));
}

// Boost.JSON's own conversion misses some doubles by one unit in the last place.
TEST(RecordTest, DoublesSurviveTheTripThroughTextBitForBit) {
    std::mt19937_64 random(7);
    for (int i = 0; i < 20000; ++i) {
        const double value =
            std::ldexp(static_cast<double>(random()), static_cast<int>(random() % 400) - 200);
        const Result<boost::json::value> parsed =
            parse_json(boost::json::serialize(to_json(measured(value))));
        ASSERT_TRUE(parsed);
        ASSERT_EQ(std::get<Measurement>(*record_from_json(*parsed)).value, value);
    }
}

TEST(RecordLinesTest, ReadsTheFormatThatNsaCoreWrites) {
    const ParsedRecords parsed = parse_record_lines(
        "{\"metric\":\"mae\",\"value\":6.0e-05,\"unit\":\"1\",\"labels\":{\"S\":\"512\"},\"sample\":0}\n"
        "\r\n"
        "{\"fact\":\"route_taken\",\"value\":\"fa2_dense\",\"labels\":{\"branch\":\"sliding\"}}\r\n"
        "{\"skip\":\"no CUDA device is visible\"}");
    EXPECT_TRUE(parsed.errors.empty());
    EXPECT_THAT(parsed.records,
                testing::ElementsAre(Record(Measurement{"mae", 6.0e-05, "1", {{"S", "512"}}, 0}),
                                     Record(Fact{"route_taken", "fa2_dense", {{"branch", "sliding"}}}),
                                     Record(Skip{"no CUDA device is visible"})));
}

TEST(RecordLinesTest, ABadLineIsAnErrorWithItsNumberAndTheOthersStay) {
    const ParsedRecords parsed = parse_record_lines(
        "{\"metric\":\"a\",\"value\":1}\n"
        "{\"metric\":\"a\",\n"
        "{\"metric\":\"a\"}\n"
        "{\"metric\":\"a\",\"value\":\"1\"}\n"
        "{\"metric\":\"a\",\"value\":1,\"sample\":1.5}\n"
        "[1]\n"
        "{\"value\":1}\n"
        "{\"metric\":\"a\",\"value\":1} x\n"
        "{\"metric\":\"a\",\"value\":NaN}\n"
        "{\"metric\":\"b\",\"value\":2}\n");
    EXPECT_EQ(parsed.records.size(), 2U);
    std::vector<std::string> where, text;
    for (const Error& error : parsed.errors) {
        where.push_back(error.where);
        text.push_back(error.text);
    }
    EXPECT_THAT(where, testing::ElementsAre("line 2", "line 3", "line 4", "line 5", "line 6", "line 7",
                                            "line 8", "line 9"));
    EXPECT_THAT(text[0], testing::HasSubstr("not JSON"));
    EXPECT_EQ(text[1], "record.value: the field is missing");
    EXPECT_EQ(text[2],
              "record.value: expected a number, \"nan\", \"inf\" or \"-inf\", found a value of type string");
    EXPECT_EQ(text[3], "record.sample: expected a whole number that fits, found a value of type double");
    EXPECT_EQ(text[5], "record: expected an object with a field \"metric\", \"fact\" or \"skip\"");
}

TEST(JsonTextTest, RefusesDeepNestingAndTextAfterTheEnd) {
    EXPECT_FALSE(parse_json(std::string(100000, '[')));
    EXPECT_FALSE(parse_json("1 2"));
    EXPECT_FALSE(parse_json(""));
    EXPECT_FALSE(parse_json("{\"a\":"));
    EXPECT_EQ(parse_json("{\"a\":}").error().where, "byte 6");
}

}  // namespace
}  // namespace nsa::language
