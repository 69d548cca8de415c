#include "protocol/messages.hpp"

#include <gtest/gtest.h>

#include <random>

namespace nsa::protocol {
namespace {

const RunKey kRun{RunId{"r-0123456789abc"}, Attempt{2}};
const Sha256 kHash{std::string(64, 'a')};

template <class Message>
void expect_round_trip(const Message& message) {
    const auto back = decode<Message>(encode(message));
    ASSERT_TRUE(back) << back.error().describe();
    EXPECT_EQ(*back, message);
}

TEST(Messages, EveryMessageSurvivesItsRoundTrip) {
    expect_round_trip(Hello{1, "nsad 0.1.0"});
    expect_round_trip(HelloReply{1, "0.1.0", "host", "boot", "/root/.nsa", ~0ULL, 5});
    expect_round_trip(ProbeReply{{{"os", "Debian \"12\""}, {"gpu_count", "0"}}});
    expect_round_trip(ProbeReply{});
    expect_round_trip(Put{"src/x/CMakeLists.txt", 1ULL << 40, kHash, true, true});
    expect_round_trip(PutReply{true});
    expect_round_trip(
        Launch{kRun, "name: x\n", R"({"a":[1]})", {{"nsa-core", "/opt/nsa core/bin/nsa-core"}}});
    expect_round_trip(LaunchReply{true, 1234, ~0ULL, "boot"});
    expect_round_trip(Attach{kRun, 17, {{"steps/a/stdout", ~0ULL}}, 1});
    for (const auto state : {RemoteState::kRunning, RemoteState::kFinished, RemoteState::kSupervisorDead,
                             RemoteState::kHostRebooted, RemoteState::kUnknownRun}) {
        expect_round_trip(AttachEnd{state, 9});
        expect_round_trip(CancelReply{state});
    }
    expect_round_trip(Fetch{kRun, {{"manifest.json", 0}, {"steps/a/stdout", 77}}, 5});
    expect_round_trip(FetchEnd{{"a", "b"}});
    expect_round_trip(FetchEnd{});
    expect_round_trip(kRun);
    expect_round_trip(std::vector<RunListing>{{kRun, RemoteState::kFinished, 3}});
    expect_round_trip(std::vector<RunListing>{});
    for (const auto code :
         {ErrorCode::kInvalidSpec, ErrorCode::kUsage, ErrorCode::kNotFound, ErrorCode::kConflict,
          ErrorCode::kHostKeyRefused, ErrorCode::kAuthRefused, ErrorCode::kRefused, ErrorCode::kUnreachable,
          ErrorCode::kTimeout, ErrorCode::kProtocol, ErrorCode::kNoSpace, ErrorCode::kCorrupt,
          ErrorCode::kInternal}) {
        const Error error{code, "text", "where"};
        EXPECT_EQ(decode_error(encode(error)), error);
    }
    EXPECT_EQ(decode_credit(encode_credit(~0ULL)).value(), ~0ULL);
}

TEST(Messages, ErrorsNameTheFieldAndWhatWouldBeRight) {
    EXPECT_EQ(decode<Hello>(R"({"client":"x"})").error().describe(),
              "Hello.protocol: is missing, expected an integer");
    EXPECT_EQ(decode<Hello>(R"({"protocol":1,"client":7})").error().describe(),
              "Hello.client: has the wrong type, expected a string");
    EXPECT_EQ(decode<Hello>("[1]").error().describe(), "Hello: is not a JSON object");
    EXPECT_EQ(decode<Fetch>(
                  R"({"run":"r-1","attempt":1,"items":[{"path":"a","offset":0},{"path":"b"}],"credit":1})")
                  .error()
                  .describe(),
              "Fetch.items[1].offset: is missing, expected an integer");
    EXPECT_EQ(decode<CancelReply>(R"({"state":"gone"})").error().describe(),
              "CancelReply.state: has the unknown value 'gone'");
    EXPECT_EQ(decode_error("{}").describe(), "Error.code: is missing, expected a string");
    EXPECT_EQ(decode_credit("{}").error().describe(), "Credit.bytes: is missing, expected an integer");
}

TEST(Messages, NumbersOutsideTheirRangeAreRefused) {
    for (const auto* size : {"-1", "1.5", "1e30", "18446744073709551616", "\"7\"", "null"}) {
        const std::string text = R"({"path":"a","sha256":")" + kHash.value +
                                 R"(","executable":false,"only_check":false,"size":)" + size + "}";
        EXPECT_FALSE(decode<Put>(text)) << size;
    }
    EXPECT_FALSE(decode<RunKey>(R"({"run":"r-1","attempt":0})"));
    EXPECT_FALSE(decode<RunKey>(R"({"run":"r-1","attempt":4294967297})"));
}

TEST(Messages, UnsafePathsAndIdsAreRefusedWhereTheyEnter) {
    for (const std::string path : {"/etc/passwd", "../x", "a/../b", "", "a//b"}) {
        EXPECT_FALSE(decode<Put>(encode(Put{path, 0, kHash}))) << path;
        EXPECT_FALSE(decode<Fetch>(encode(Fetch{kRun, {{path, 0}}}))) << path;
        EXPECT_FALSE(decode<Attach>(encode(Attach{kRun, 1, {{path, 0}}}))) << path;
    }
    for (const std::string run : {"../../x", "", "R-1", "a/b", "-rf"}) {
        EXPECT_FALSE(decode<RunKey>(encode(RunKey{RunId{run}, Attempt{1}}))) << run;
    }
    EXPECT_FALSE(decode<Put>(encode(Put{"a", 0, Sha256{"xyz"}})));
    EXPECT_FALSE(decode<Launch>(encode(Launch{kRun, "", "{}", {{"nsa-core", "bin/nsa-core"}}})));
}

TEST(Messages, HostileJsonIsAnErrorNotACrash) {
    EXPECT_FALSE(decode<Hello>(std::string(100'000, '[')));
    EXPECT_FALSE(decode<Hello>(""));
    EXPECT_FALSE(decode<Hello>("{\"client\":\"\xff\xfe\"}"));
    std::mt19937 random{11};
    const std::string valid = encode(Fetch{kRun, {{"steps/a/stdout", 5}}, 9});
    for (int round = 0; round < 5000; ++round) {
        std::string text = valid;
        for (int edits = 0; edits < 3; ++edits)
            text[random() % text.size()] = static_cast<char>(random());
        if (const auto fetch = decode<Fetch>(text)) {
            for (const auto& item : fetch->items)
                EXPECT_TRUE(language::is_safe_relative_path(item.path));
        }
    }
}

}  // namespace
}  // namespace nsa::protocol
