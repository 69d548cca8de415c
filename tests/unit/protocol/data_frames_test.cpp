#include <gtest/gtest.h>

#include <random>

#include "protocol/messages.hpp"

namespace nsa::protocol {
namespace {

const std::vector<std::string> kUnsafePaths{
    "",    "/etc/passwd",          "../x", "a/../../x",          "a//b", ".",
    "a/.", std::string("a\0b", 3), "a\nb", std::string(300, 'x')};

TEST(LogFrame, CarriesPathOffsetAndBytes) {
    const std::string bytes{"line\0\xff\n", 7};
    const std::string payload = encode_log("steps/a/stdout", 1ULL << 40, bytes);
    const auto piece = decode_log(payload);
    ASSERT_TRUE(piece) << piece.error().describe();
    EXPECT_EQ(piece->path, "steps/a/stdout");
    EXPECT_EQ(piece->offset, 1ULL << 40);
    EXPECT_EQ(piece->bytes, bytes);
}

TEST(LogFrame, EveryTruncationOfItsHeaderIsRefused) {
    const std::string payload = encode_log("steps/a/stdout", 7, "");
    for (std::size_t size = 0; size < payload.size(); ++size) {
        EXPECT_FALSE(decode_log(std::string_view{payload}.substr(0, size))) << size;
    }
}

TEST(LogFrame, UnsafePathsAndOverflowingOffsetsAreRefused) {
    for (const auto& path : kUnsafePaths)
        EXPECT_FALSE(decode_log(encode_log(path, 0, "x"))) << path;
    EXPECT_FALSE(decode_log(encode_log("a", ~0ULL, "x")));
}

TEST(FileFrame, PacksSeveralPiecesAndEmptyFiles) {
    std::string payload;
    append_file_piece(payload, {.path = "a", .file_size = 3, .offset = 0, .bytes = "abc"});
    append_file_piece(payload, {.path = "b/empty", .file_size = 0, .offset = 0, .bytes = ""});
    append_file_piece(payload, {.path = "c", .file_size = 10, .offset = 4, .bytes = "456"});
    const auto pieces = decode_files(payload);
    ASSERT_TRUE(pieces) << pieces.error().describe();
    ASSERT_EQ(pieces->size(), 3U);
    EXPECT_EQ((*pieces)[1].path, "b/empty");
    EXPECT_EQ((*pieces)[2].offset, 4U);
    EXPECT_EQ((*pieces)[2].file_size, 10U);
    EXPECT_EQ((*pieces)[2].bytes, "456");
}

TEST(FileFrame, LyingSizesAreRefused) {
    std::string past_the_end;
    append_file_piece(past_the_end, {.path = "a", .file_size = 2, .offset = 0, .bytes = "abc"});
    EXPECT_FALSE(decode_files(past_the_end));

    std::string offset_past_the_end;
    append_file_piece(offset_past_the_end, {.path = "a", .file_size = 2, .offset = ~0ULL, .bytes = "abc"});
    EXPECT_FALSE(decode_files(offset_past_the_end));

    std::string payload;
    append_file_piece(payload, {.path = "a", .file_size = 3, .offset = 0, .bytes = "abc"});
    for (std::size_t size = 1; size < payload.size(); ++size) {
        EXPECT_FALSE(decode_files(std::string_view{payload}.substr(0, size))) << size;
    }
    const auto error = decode_files(std::string_view{payload}.substr(0, payload.size() - 1)).error();
    EXPECT_NE(error.text.find("claims 3 bytes, 2 are there"), std::string::npos) << error.text;
}

TEST(FileFrame, UnsafePathsAreRefused) {
    for (const auto& path : kUnsafePaths) {
        std::string payload;
        append_file_piece(payload, {.path = path, .file_size = 1, .offset = 0, .bytes = "x"});
        EXPECT_FALSE(decode_files(payload)) << path;
    }
}

TEST(DataFrames, RandomBytesNeverReachOutsideThePayload) {
    std::mt19937 random{7};
    for (int round = 0; round < 5000; ++round) {
        std::string bytes(random() % 64, '\0');
        for (auto& byte : bytes)
            byte = static_cast<char>(random() % 4 == 0 ? random() : random() % 8);
        if (const auto piece = decode_log(bytes)) {
            EXPECT_LE(piece->bytes.size(), bytes.size());
        }
        if (const auto pieces = decode_files(bytes)) {
            for (const auto& piece : *pieces)
                EXPECT_LE(piece.offset + piece.bytes.size(), piece.file_size);
        }
    }
}

}  // namespace
}  // namespace nsa::protocol
