#include "daemon/attempt_files.hpp"

#include <gtest/gtest.h>

#include "language/hash.hpp"
#include "support/temp_dir.hpp"

namespace nsa::daemon {
namespace {

TEST(AttemptFiles, BytesLandAtTheirOffsetWhateverTheOrder) {
    test::TempDir dir;
    WriteBack write_back(dir.path());
    AttemptFiles files(write_back, dir.path());
    ASSERT_TRUE(files.write_at("steps/a/stdout", 4, "two\n"));
    ASSERT_TRUE(files.write_at("steps/a/stdout", 0, "one\n"));
    ASSERT_TRUE(files.write_at("steps/a/stdout", 4, "two\n")) << "a repeated piece changes nothing";
    EXPECT_EQ(test::read_file(dir / "steps/a/stdout"), "one\ntwo\n");
}

TEST(AttemptFiles, LogSizesSayWhereToGoOn) {
    test::TempDir dir;
    WriteBack write_back(dir.path());
    AttemptFiles files(write_back, dir.path());
    EXPECT_TRUE(files.log_sizes().empty());
    ASSERT_TRUE(files.write_at("steps/a/stdout", 0, "12345"));
    ASSERT_TRUE(files.write_at("steps/b/stderr", 0, "1"));
    ASSERT_TRUE(files.write_at("steps/b/other", 0, "1"));
    const std::map<std::string, std::uint64_t> expected = {{"steps/a/stdout", 5}, {"steps/b/stderr", 1}};
    EXPECT_EQ(files.log_sizes(), expected);
}

TEST(AttemptFiles, NamesThatLeaveTheFolderAreRefused) {
    test::TempDir dir;
    WriteBack write_back(dir.path());
    AttemptFiles files(write_back, dir / "run");
    for (const char* path : {"../x", "/etc/x", "a/../../x", "", "a//b", "."}) {
        const Result<void> written = files.write_at(path, 0, "x");
        ASSERT_FALSE(written) << path;
        EXPECT_EQ(written.error().code, ErrorCode::kProtocol) << path;
    }
    EXPECT_FALSE(std::filesystem::exists(dir / "x"));
}

TEST(AttemptFiles, ALinkIsNotFollowed) {
    test::TempDir dir;
    std::filesystem::create_directories(dir / "run/steps");
    std::filesystem::create_symlink(dir / "outside", dir / "run/steps/out");
    WriteBack write_back(dir.path());
    AttemptFiles files(write_back, dir / "run");
    EXPECT_FALSE(files.write_at("steps/out", 0, "x"));
    EXPECT_FALSE(std::filesystem::exists(dir / "outside"));
}

TEST(AttemptFiles, ReadingGoesOnFromAnOffsetAndEndsWithTheFile) {
    test::TempDir dir;
    WriteBack write_back(dir.path());
    AttemptFiles files(write_back, dir.path());
    EXPECT_EQ(*files.read_at("steps/a/stdout", 0, 10), "") << "not there yet";
    ASSERT_TRUE(files.write_at("steps/a/stdout", 0, "abcdef"));
    EXPECT_EQ(*files.read_at("steps/a/stdout", 2, 3), "cde");
    EXPECT_EQ(*files.read_at("steps/a/stdout", 5, 10), "f");
    EXPECT_EQ(*files.read_at("steps/a/stdout", 6, 10), "");
}

TEST(AttemptFiles, LogsOfTheSetupCountToo) {
    test::TempDir dir;
    WriteBack write_back(dir.path());
    AttemptFiles files(write_back, dir.path());
    ASSERT_TRUE(files.write_at("setup/0/stdout", 0, "built"));
    ASSERT_TRUE(files.write_at("steps/a/stderr", 0, "oops"));
    const std::map<std::string, std::uint64_t> expected = {{"setup/0/stdout", 5}, {"steps/a/stderr", 4}};
    EXPECT_EQ(files.log_sizes(), expected);
    EXPECT_EQ(files.describe_all()->size(), 2U);
}

TEST(AttemptFiles, MayBeSentToTheDiskWhileMoreAreWritten) {
    test::TempDir dir;
    WriteBack write_back(dir.path());
    AttemptFiles files(write_back, dir / "run");
    files.sync_ahead();
    EXPECT_FALSE(std::filesystem::exists(dir / "run")) << "there was nothing to sync";
    for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(files.write_at("steps/a/" + std::to_string(i), 0, "bytes"));
        files.sync_ahead();
    }
    files.settle();
    EXPECT_TRUE(files.sync());
    EXPECT_EQ(files.describe_all()->size(), 20U);
}

TEST(AttemptFiles, AreDescribedBySizeAndHashInOrderOfPath) {
    test::TempDir dir;
    WriteBack write_back(dir.path());
    AttemptFiles files(write_back, dir.path());
    ASSERT_TRUE(files.write_at("steps/b/x", 0, "two"));
    ASSERT_TRUE(files.write_at("steps/a/x", 0, "one"));
    ASSERT_TRUE(files.write_at("outside-of-steps", 0, "no"));
    const Result<std::vector<store::ArtifactRow>> rows = files.describe_all();
    ASSERT_TRUE(rows);
    const std::vector<store::ArtifactRow> expected = {{"steps/a/x", 3, sha256_of("one")},
                                                      {"steps/b/x", 3, sha256_of("two")}};
    EXPECT_EQ(*rows, expected);
    EXPECT_TRUE(files.sync());
}

}  // namespace
}  // namespace nsa::daemon
