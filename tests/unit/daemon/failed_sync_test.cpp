// A syncfs that fails, told once as the kernel does. This program's syncfs and posix_fadvise stand in front
// of libc's.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "daemon/attempt_files.hpp"
#include "support/temp_dir.hpp"

namespace {

std::atomic<int> error_of_next_sync = 0;
int dropped = 0;  // files whose bytes the kernel was told to forget

}  // namespace

extern "C" int syncfs(int descriptor) noexcept {
    const int error = error_of_next_sync.exchange(0);
    if (error == 0) return static_cast<int>(::syscall(SYS_syncfs, descriptor));
    errno = error;
    return -1;
}
extern "C" int posix_fadvise(int, off_t, off_t, int advice) noexcept {
    dropped += advice == POSIX_FADV_DONTNEED ? 1 : 0;
    return 0;
}

namespace nsa::daemon {
namespace {

struct FailedSync : testing::Test {
    test::TempDir dir;
    WriteBack write_back{dir.path()};
    AttemptFiles files{write_back, dir / "run"};

    void SetUp() override {
        dropped = 0;
        ASSERT_TRUE(files.write_at("steps/a/stdout", 0, "one"));
        ASSERT_TRUE(files.write_at("setup/0/stderr", 0, "two"));
    }
    void expect_failed(ErrorCode code) {
        for (int i = 0; i < 2; ++i) {
            const Result<void> synced = files.sync();
            ASSERT_FALSE(synced.has_value());
            EXPECT_EQ(synced.error().code, code) << synced.error().describe();
        }
        EXPECT_EQ(dropped, 2) << "the next hashes are of the disk";
    }
};

TEST_F(FailedSync, IsNotTriedAgainAndItsFilesAreReadFromTheDisk) {
    error_of_next_sync = EIO;
    expect_failed(ErrorCode::kInternal);
}

TEST_F(FailedSync, AheadOfTheLastOneFailsThatOne) {
    error_of_next_sync = ENOSPC;
    files.sync_ahead();
    files.settle();
    EXPECT_EQ(error_of_next_sync, 0) << "it was told";
    expect_failed(ErrorCode::kNoSpace);
}

TEST_F(FailedSync, AheadOfAPullThatEndsEarlyStillHasItsFilesReadFromTheDisk) {
    {
        AttemptFiles pull(write_back, dir / "run");
        ASSERT_TRUE(pull.write_at("steps/b/stdout", 0, "three"));
        error_of_next_sync = EIO;
        pull.sync_ahead();
    }
    EXPECT_EQ(dropped, 3);
    EXPECT_TRUE(files.sync());
}

// The log streamed home through one AttemptFiles; another run's sync is told that it did not reach the disk.
TEST_F(FailedSync, ThatAnotherRunWasToldFailsEveryoneWhoHadWrittenByThen) {
    AttemptFiles other(write_back, dir / "other");
    ASSERT_TRUE(other.write_at("steps/a/stdout", 0, "one"));
    error_of_next_sync = EIO;
    EXPECT_FALSE(other.sync());
    AttemptFiles later(write_back, dir / "later");
    ASSERT_TRUE(later.write_at("steps/a/stdout", 0, "one"));
    EXPECT_TRUE(later.sync()) << "its first byte came after that";
    dropped = 0;
    AttemptFiles pull(write_back, dir / "run");  // all of it is at home, nothing more is written
    EXPECT_FALSE(pull.sync());
    EXPECT_EQ(dropped, 2) << "the next hashes are of the disk";
    EXPECT_TRUE(AttemptFiles(write_back, dir / "run").sync());
    write_back.forget(dir.path());
    EXPECT_TRUE(AttemptFiles(write_back, dir / "run").sync());
}

}  // namespace
}  // namespace nsa::daemon
