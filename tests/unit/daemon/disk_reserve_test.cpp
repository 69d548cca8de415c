#include "daemon/disk_reserve.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/temp_dir.hpp"

namespace nsa::daemon {
namespace {

constexpr std::uint64_t kBytes = 1 << 20;

// Bytes that the file really keeps on the disk.
std::uint64_t kept(const std::filesystem::path& file) {
    struct stat info {};
    if (::stat(file.c_str(), &info) != 0) return 0;
    return static_cast<std::uint64_t>(info.st_blocks) * 512;
}

TEST(DiskReserve, KeepsBlocksAndGivesThemToTheDiskOnce) {
    test::TempDir dir;
    DiskReserve reserve(dir / "reserve", kBytes);
    EXPECT_TRUE(reserve.held());
    EXPECT_GE(kept(dir / "reserve"), kBytes);
    EXPECT_TRUE(reserve.release());
    EXPECT_EQ(kept(dir / "reserve"), 0U);
    EXPECT_FALSE(reserve.held());
    EXPECT_FALSE(reserve.release()) << "there is no more";
}

TEST(DiskReserve, IsTakenBackWhenThereIsSpace) {
    test::TempDir dir;
    DiskReserve reserve(dir / "reserve", kBytes);
    ASSERT_TRUE(reserve.release());
    EXPECT_TRUE(reserve.take());
    EXPECT_TRUE(reserve.held());
    EXPECT_GE(kept(dir / "reserve"), kBytes);
}

TEST(DiskReserve, OfTheDaemonBeforeThisOneIsKept) {
    test::TempDir dir;
    { const DiskReserve reserve(dir / "reserve", kBytes); }
    const DiskReserve reserve(dir / "reserve", kBytes);
    EXPECT_TRUE(reserve.held());
    EXPECT_EQ(std::filesystem::file_size(dir / "reserve"), kBytes);
}

TEST(DiskReserve, OfNoBytesRefusesNothingAndHelpsNobody) {
    test::TempDir dir;
    DiskReserve reserve(dir / "reserve", 0);
    EXPECT_TRUE(reserve.held());
    EXPECT_FALSE(reserve.release());
    EXPECT_FALSE(std::filesystem::exists(dir / "reserve"));
}

TEST(DiskReserve, ThatIsSmallerThanTheOneBeforeGivesTheRestBack) {
    test::TempDir dir;
    for (const std::uint64_t bytes : {2 * kBytes, kBytes, std::uint64_t{0}}) {
        const DiskReserve reserve(dir / "reserve", bytes);
        EXPECT_TRUE(reserve.held());
        EXPECT_EQ(std::filesystem::file_size(dir / "reserve"), bytes);
    }
}

TEST(DiskReserve, ThatCannotBeMadeIsNotHeld) {
    test::TempDir dir;
    const DiskReserve reserve(dir / "absent" / "reserve", kBytes);
    EXPECT_FALSE(reserve.held());
}

}  // namespace
}  // namespace nsa::daemon
