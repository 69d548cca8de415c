#include "protocol/frame.hpp"

#include <gtest/gtest.h>

#include <random>
#include <stdexcept>

namespace nsa::protocol {
namespace {

std::string bytes_of(FrameType type, std::uint32_t request, std::string_view payload) {
    std::string out;
    append_frame(out, type, request, payload);
    return out;
}

TEST(Frame, HeaderIsTwelveLittleEndianBytes) {
    const std::string bytes = bytes_of(FrameType::kReply, 0x01020304, "ab");
    EXPECT_EQ(bytes, std::string("\x02\0\0\0\x40\0\0\0\x04\x03\x02\x01"
                                 "ab",
                                 14));
}

TEST(Frame, ReturnsFramesInOrderWhateverTheSplitOfTheBytes) {
    std::string stream;
    std::vector<Frame> sent;
    for (std::uint32_t i = 0; i < 50; ++i) {
        sent.push_back({FrameType::kLog, i, std::string(i * 37 % 300, static_cast<char>(i))});
        append_frame(stream, sent.back().type, sent.back().request, sent.back().payload);
    }
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, stream.size()}) {
        FrameReader reader;
        std::vector<Frame> received;
        for (std::size_t at = 0; at < stream.size(); at += step) {
            reader.feed(std::string_view{stream}.substr(at, step));
            for (auto next = reader.next(); next.value(); next = reader.next()) {
                received.push_back(std::move(**next));
            }
        }
        EXPECT_EQ(received, sent) << "split every " << step;
    }
}

TEST(Frame, TruncatedFrameIsNothingYet) {
    const std::string bytes = bytes_of(FrameType::kPing, 1, "{}");
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        FrameReader reader;
        reader.feed(std::string_view{bytes}.substr(0, size));
        const auto next = reader.next();
        ASSERT_TRUE(next) << size;
        EXPECT_FALSE(next->has_value()) << size;
    }
}

TEST(Frame, LargestPayloadPassesAndOneMoreIsRefusedAtTheHeader) {
    FrameReader reader;
    reader.feed(bytes_of(FrameType::kLaunch, 9, std::string(kMaxPayload, 'x')));
    ASSERT_TRUE(reader.next().value().has_value());

    // Only the header arrives: nothing may wait for, or make room for, 4 GiB.
    reader.feed(std::string_view{"\xff\xff\xff\xff\x06\0\0\0\0\0\0\0", 12});
    const auto next = reader.next();
    ASSERT_FALSE(next);
    EXPECT_EQ(next.error().code, ErrorCode::kProtocol);
    EXPECT_NE(next.error().text.find("4294967295"), std::string::npos) << next.error().text;

    EXPECT_THROW(bytes_of(FrameType::kLaunch, 9, std::string(kMaxPayload + 1, 'x')), std::length_error);
}

TEST(Frame, UnknownTypeAndReservedBitsAreRefusedAndStayRefused) {
    for (const auto header : {std::string_view{"\0\0\0\0\0\0\0\0\0\0\0\0", 12},
                              std::string_view{"\0\0\0\0\x0d\0\0\0\0\0\0\0", 12},
                              std::string_view{"\0\0\0\0\x45\0\0\0\0\0\0\0", 12},
                              std::string_view{"\0\0\0\0\x02\0\x01\0\0\0\0\0", 12}}) {
        FrameReader reader;
        reader.feed(header);
        EXPECT_FALSE(reader.next());
        reader.feed(bytes_of(FrameType::kPing, 1, "{}"));
        EXPECT_FALSE(reader.next()) << "nothing after a bad header can be trusted";
    }
}

TEST(Frame, RandomBytesNeverYieldAnOversizedFrameNorCrash) {
    std::mt19937 random{20261123};
    for (int round = 0; round < 2000; ++round) {
        std::string bytes(random() % 200, '\0');
        for (auto& byte : bytes)
            byte = static_cast<char>(random());
        FrameReader reader;
        std::size_t taken = 0;
        reader.feed(bytes);
        for (auto next = reader.next(); next && next->has_value(); next = reader.next()) {
            taken += kHeaderSize + (*next)->payload.size();
        }
        EXPECT_LE(taken, bytes.size());
    }
}

}  // namespace
}  // namespace nsa::protocol
