#include "language/event.hpp"

#include <gmock/gmock.h>

#include <boost/json.hpp>

#include "language/hash.hpp"

namespace nsa::language {
namespace {

const CaseKey kKey{"decode[S=512]"};

std::vector<EventBody> one_body_of_each_kind() {
    const ProcessEnd killed{EndKind::kTimedOut, 0, 9, true, "run limit of 4 h"};
    return {RunStarted{41, 99999999999ULL, "b-1", "host", "0.1.0"},
            HostProbed{{{"gpu.0.name", "A100"}, {"os", "Debian"}}},
            SetupFinished{1, ProcessEnd{}, 0.25, "build nsa-core"},
            CaseStarted{kKey, 42, {"nsa-core", "parity", "a b", "\n\"$(x)\""}},
            CaseRecords{kKey, {Measurement{"mae", 1e-5, "1", {}, 0}, Skip{"x"}}, {"line 3: not JSON"}},
            CaseFinished{kKey, killed, 1.5, 10, 20, 3000},
            CaseBlocked{kKey, CaseKey{"parity"}},
            RunFinished{RunEnd::kSetupFailed, "cmake: exit code 1", sha256_of("m"), 3, 1ULL << 40}};
}

TEST(EventTest, EveryKindRoundTripsAsOneLine) {
    const std::vector<EventBody> bodies = one_body_of_each_kind();
    ASSERT_EQ(bodies.size(), std::variant_size_v<EventBody>);
    std::uint64_t seq = 0;
    for (const EventBody& body : bodies) {
        const Event event{++seq, 1700000000000, body};
        ASSERT_EQ(event.body.index(), seq - 1);
        const std::string line = to_line(event);
        EXPECT_EQ(line.find('\n'), line.size() - 1) << line;
        const Result<Event> back = event_from_line(line);
        ASSERT_TRUE(back) << back.error().describe();
        EXPECT_EQ(*back, event);
    }
}

// The format is frozen: journals of old runs must stay readable.
TEST(EventTest, TheLineFormatIsTheDocumentedOne) {
    EXPECT_EQ(to_line({7, 5, CaseFinished{kKey, ProcessEnd{}, 1.5, 10, 0, 0}}),
              "{\"seq\":7,\"wall_ms\":5,\"event\":\"case_finished\",\"key\":\"decode[S=512]\","
              "\"end\":{\"kind\":\"exited\"},\"seconds\":1.5E0,\"stdout_bytes\":10}\n");
}

TEST(EventTest, AFieldOfANewerWriterIsIgnored) {
    EXPECT_TRUE(
        event_from_line(R"({"seq":1,"wall_ms":0,"event":"case_blocked","key":"a","by":"b","later":[1]})"));
}

TEST(EventTest, ABrokenLineSaysWhichFieldIsWrong) {
    const auto error_of = [](std::string_view line) { return event_from_line(line).error().describe(); };
    EXPECT_EQ(error_of("[1]"), "event: expected an object");
    EXPECT_EQ(error_of(R"({"seq":1,"wall_ms":0})"), "event.event: the field is missing");
    EXPECT_EQ(error_of(R"({"seq":-1,"wall_ms":0,"event":"case_blocked","key":"a","by":"b"})"),
              "event.seq: expected a whole number that fits, found a value of type int64");
    EXPECT_EQ(error_of(R"({"seq":1,"wall_ms":0,"event":"nap"})"), "event.event: unknown event 'nap'");
    EXPECT_THAT(error_of(R"({"seq":1,"wall_ms":0,"event":"setup_finished","index":0,"end":{"kind":"odd"}})"),
                testing::StartsWith("event.end.kind: unknown word, expected one of exited, signalled"));
    EXPECT_THAT(error_of(R"({"seq":1,"wall_ms":0,"event":"case_records","key":"a","records":[{"skip":1}]})"),
                testing::StartsWith("event.records[0]: record.skip: expected a text"));
    EXPECT_THAT(error_of("{\"seq\":1,\"wall"), testing::HasSubstr("not JSON"));
}

TEST(ManifestTest, RoundTrips) {
    const Manifest manifest{{"steps/a/stdout", 0, sha256_of("")},
                            {"steps/a/x.csv", 1ULL << 40, sha256_of("x")}};
    EXPECT_EQ(*manifest_from_json(to_json(manifest)), manifest);
}

TEST(ManifestTest, RefusesAPathThatLeavesTheRunDirectory) {
    for (const char* path : {"../x", "/etc/passwd", "steps//x", "steps/./x", "", "steps/a\nb", "a/.."}) {
        const Manifest manifest{{path, 0, sha256_of("")}};
        EXPECT_FALSE(manifest_from_json(to_json(manifest))) << path;
    }
}

TEST(CaseFolderTest, KeepsAPlainKey) {
    EXPECT_EQ(case_folder(CaseKey{"parity_1.a-b"}), "parity_1.a-b");
}

TEST(CaseFolderTest, KeysThatLookAlikeAfterReplacementGetDifferentFolders) {
    const std::string a = case_folder(CaseKey{"decode[S=512]"});
    const std::string b = case_folder(CaseKey{"decode[S_512]"});
    EXPECT_THAT(a, testing::StartsWith("decode_S_512_-"));
    EXPECT_NE(a, b);
    EXPECT_TRUE(is_safe_relative_path("steps/" + a));
}

TEST(CaseFolderTest, NeverNamesADotFolderOrOneThatIsTooLong) {
    for (const std::string& key :
         {std::string(".."), std::string("."), std::string(), std::string(5000, 'x')}) {
        EXPECT_TRUE(is_safe_relative_path(case_folder(CaseKey{key}))) << key;
    }
}

TEST(SafePathTest, CountsComponentsAndTheirBytes) {
    std::string deep = "a";
    for (int i = 1; i < 32; ++i)
        deep += "/a";
    EXPECT_TRUE(is_safe_relative_path(deep));
    EXPECT_FALSE(is_safe_relative_path(deep + "/a"));
    EXPECT_TRUE(is_safe_relative_path(std::string(255, 'x')));
    EXPECT_FALSE(is_safe_relative_path(std::string(256, 'x')));
    EXPECT_FALSE(is_safe_relative_path(std::string_view("a\0b", 3)));
    EXPECT_FALSE(is_safe_relative_path("a/"));
}

}  // namespace
}  // namespace nsa::language
