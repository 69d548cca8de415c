#include "daemon/file_intake.hpp"

#include <gtest/gtest.h>

#include "support/temp_dir.hpp"

namespace nsa::daemon {
namespace {

using protocol::FilePiece;

language::ManifestEntry entry(const std::string& path, const std::string& bytes) {
    return {path, bytes.size(), sha256_of(bytes)};
}

struct FileIntakeTest : ::testing::Test {
    Result<void> take(FileIntake& intake, const FilePiece& piece) {
        return intake.take(std::span<const FilePiece>(&piece, 1));
    }
    test::TempDir dir;
    WriteBack write_back{dir.path()};
    AttemptFiles files{write_back, dir.path()};
    const language::Manifest manifest = {entry("steps/a/one", "first"), entry("steps/a/two", ""),
                                         entry("steps/b/three", "0123456789")};
};

TEST_F(FileIntakeTest, FilesInPiecesAreWrittenAndVerified) {
    FileIntake intake(files, manifest);
    const std::vector<FilePiece> first = {
        {"steps/a/one", 5, 0, "first"}, {"steps/a/two", 0, 0, ""}, {"steps/b/three", 10, 0, "0123"}};
    ASSERT_TRUE(intake.take(first));
    EXPECT_FALSE(intake.finish()) << "the last file is not whole";
    ASSERT_TRUE(take(intake, {"steps/b/three", 10, 4, "456789"}));
    EXPECT_TRUE(intake.finish());
    EXPECT_EQ(test::read_file(dir / "steps/b/three"), "0123456789");
    EXPECT_EQ(std::filesystem::file_size(dir / "steps/a/two"), 0U);
}

TEST_F(FileIntakeTest, AnotherContentIsCorrupt) {
    FileIntake intake(files, manifest);
    const Result<void> taken = take(intake, {"steps/a/one", 5, 0, "First"});
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(taken.error().where, "steps/a/one");
}

TEST_F(FileIntakeTest, AnotherSizeIsCorruptBeforeAByteIsWritten) {
    FileIntake intake(files, manifest);
    const Result<void> taken = take(intake, {"steps/a/one", 500, 0, "first"});
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, ErrorCode::kCorrupt);
    EXPECT_FALSE(std::filesystem::exists(dir / "steps/a/one"));
}

TEST_F(FileIntakeTest, AFileThatWasNotAskedForIsRefused) {
    FileIntake intake(files, manifest);
    const Result<void> taken = take(intake, {"steps/a/evil", 1, 0, "x"});
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, ErrorCode::kProtocol);
    EXPECT_FALSE(std::filesystem::exists(dir / "steps/a/evil"));
}

TEST_F(FileIntakeTest, PiecesOutOfOrderOrTwiceAreRefused) {
    FileIntake intake(files, manifest);
    ASSERT_TRUE(take(intake, {"steps/b/three", 10, 0, "0123"}));
    EXPECT_FALSE(take(intake, {"steps/b/three", 10, 6, "6789"}));
    FileIntake again(files, manifest);
    ASSERT_TRUE(take(again, {"steps/a/one", 5, 0, "first"}));
    EXPECT_FALSE(take(again, {"steps/a/one", 5, 0, "first"}));
}

TEST_F(FileIntakeTest, AFileThatTheHostCannotReadToItsEndIsMissingAndTheOthersCome) {
    FileIntake intake(files, manifest);
    const std::vector<FilePiece> pieces = {
        {"steps/b/three", 10, 0, "0123"}, {"steps/a/one", 5, 0, "first"}, {"steps/a/two", 0, 0, ""}};
    ASSERT_TRUE(intake.take(pieces));
    EXPECT_EQ(test::read_file(dir / "steps/a/one"), "first");
    const Result<void> whole = intake.finish();
    ASSERT_FALSE(whole);
    EXPECT_EQ(whole.error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(whole.error().where, "steps/b/three");
}

TEST_F(FileIntakeTest, MissingFilesAreThoseThatAreNotHereWithTheirHash) {
    ASSERT_TRUE(files.write_at("steps/a/one", 0, "first"));
    ASSERT_TRUE(files.write_at("steps/b/three", 0, "012345678X"));
    const Result<language::Manifest> missing = missing_of(files, manifest);
    ASSERT_TRUE(missing);
    const language::Manifest expected = {manifest[1], manifest[2]};
    EXPECT_EQ(*missing, expected);
}

TEST_F(FileIntakeTest, AnOlderLongerFileIsReplacedAndNotMixed) {
    ASSERT_TRUE(files.write_at("steps/a/one", 0, "something longer"));
    FileIntake intake(files, manifest);
    ASSERT_TRUE(take(intake, {"steps/a/one", 5, 0, "first"}));
    EXPECT_EQ(test::read_file(dir / "steps/a/one"), "first");
}

struct RemainsTest : FileIntakeTest {
    // What is at home of a log: its first bytes, as it streamed while the run went on.
    const std::string path = "steps/a/stdout";
    language::Manifest hoped{{path, 5, {}}};
    void SetUp() override { ASSERT_TRUE(files.write_at(path, 0, "01234")); }
};

TEST_F(RemainsTest, ALogThatIsPartlyHereGoesOnWhereItEnds) {
    FileIntake intake(files, hoped, FileIntake::Verify::kNothing);
    ASSERT_TRUE(take(intake, {path, 10, 5, "567"}));
    EXPECT_EQ(test::read_file(dir / path), "01234567") << "nothing of it was cut off meanwhile";
    ASSERT_TRUE(take(intake, {path, 10, 8, "89"}));
    EXPECT_EQ(test::read_file(dir / path), "0123456789");
}

TEST_F(RemainsTest, AHostThatLostTheEndOfALogCostsNothingOfIt) {
    FileIntake intake(files, hoped, FileIntake::Verify::kNothing);
    ASSERT_TRUE(take(intake, {path, 3, 3, ""}));
    EXPECT_EQ(test::read_file(dir / path), "01234");
}

TEST_F(RemainsTest, ALogThatTheHostCannotReadToItsEndCostsNoOther) {
    hoped.push_back({"steps/b/stdout", 0, {}});
    FileIntake intake(files, hoped, FileIntake::Verify::kNothing);
    const std::vector<FilePiece> pieces = {{path, 10, 5, "567"}, {"steps/b/stdout", 3, 0, "xyz"}};
    ASSERT_TRUE(intake.take(pieces));
    EXPECT_TRUE(intake.finish());
    EXPECT_EQ(test::read_file(dir / path), "01234567") << "what came stays";
    EXPECT_EQ(test::read_file(dir / "steps/b/stdout"), "xyz");
}

TEST_F(RemainsTest, APieceThatBeginsElsewhereIsRefused) {
    for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{7}}) {
        FileIntake intake(files, hoped, FileIntake::Verify::kNothing);
        EXPECT_FALSE(take(intake, {path, 10, offset, "xx"})) << offset;
        EXPECT_EQ(test::read_file(dir / path), "01234");
    }
}

}  // namespace
}  // namespace nsa::daemon
