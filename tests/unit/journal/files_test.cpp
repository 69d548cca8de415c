#include "posix/files.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "posix/errno_error.hpp"
#include "posix/identity.hpp"
#include "posix/spawn.hpp"
#include "temp_dir.hpp"

namespace {
int failures = 0;  // of the next calls of fsync
int failure = EIO;
bool of_folders = false;  // only those of folders

bool is_folder(int fd) {
    struct stat info {};
    return ::fstat(fd, &info) == 0 && S_ISDIR(info.st_mode);
}
}  // namespace

// In place of the C library's for the whole program.
extern "C" int fsync(int fd) {
    if (failures == 0 || (of_folders && !is_folder(fd))) return static_cast<int>(::syscall(SYS_fsync, fd));
    --failures;
    errno = failure;
    return -1;
}

namespace nsa::posix {
namespace {

TEST(Files, DurableWriteReplacesWholeAndLeavesNoTemporary) {
    const test::TempDir dir;
    ASSERT_TRUE(write_file_durably(dir.fd(), "exit.json", "old"));
    ASSERT_TRUE(write_file_durably(dir.fd(), "exit.json", "new"));
    EXPECT_EQ(dir.read("exit.json"), "new");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator{dir.path()}, {}), 1);
}

// Calls of fsync that fail, and with what.
void fail_fsync(int count, int error = EIO) {
    failures = count;
    failure = error;
    of_folders = false;
}
void fail_fsync_of_folders(int count, int error = EIO) {
    fail_fsync(count, error);
    of_folders = true;
}

TEST(Files, AnIoErrorOfADurableWriteIsTriedAgainWithAFileOfItsOwn) {
    for (const int count : {1, 2}) {  // of the file, and once more
        const test::TempDir dir;
        fail_fsync(count);
        EXPECT_TRUE(write_file_durably(dir.fd(), "tools.json", "{}")) << count;
        EXPECT_EQ(failures, 0);
        EXPECT_EQ(dir.read("tools.json"), "{}");
        EXPECT_EQ(std::distance(std::filesystem::directory_iterator{dir.path()}, {}), 1);
    }
}

TEST(Files, AnIoErrorThatStaysAndAFullDiskAreSaidAndLeaveNothing) {
    const test::TempDir dir;
    fail_fsync(1000);
    const auto broken = write_file_durably(dir.fd(), "tools.json", "{}");
    EXPECT_LT(1000 - failures, 10) << "not for ever";
    ASSERT_FALSE(broken);
    EXPECT_NE(broken.error().describe().find("write tools.json: Input/output error"), std::string::npos);
    fail_fsync(1, ENOSPC);
    const auto full = write_file_durably(dir.fd(), "tools.json", "{}");
    fail_fsync(0);
    ASSERT_FALSE(full) << "trying again would not help";
    EXPECT_EQ(full.error().code, ErrorCode::kNoSpace);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator{dir.path()}, {}), 0);
}

TEST(Files, AnIoErrorOfTheFoldersFsyncIsTriedAgainAndOneThatStaysIsSaid) {
    const test::TempDir dir;
    fail_fsync_of_folders(1);
    EXPECT_TRUE(write_file_durably(dir.fd(), "tools.json", "old"));
    EXPECT_EQ(failures, 0);
    fail_fsync_of_folders(1000);
    const auto broken = write_file_durably(dir.fd(), "tools.json", "new");
    EXPECT_LT(1000 - failures, 10) << "not for ever";
    fail_fsync(0);
    ASSERT_FALSE(broken) << "the name may be gone after a power cut";
    EXPECT_NE(broken.error().describe().find("fsync of the folder: Input/output error"), std::string::npos);
    EXPECT_EQ(list_dir(dir.fd(), ""), std::vector<std::string>{"tools.json"});
    EXPECT_EQ(dir.read("tools.json"), "new") << "whole all the same";
}

TEST(Files, AFileSystemThatRefusesFsyncOfAFolderHasDoneItItself) {
    const test::TempDir dir;
    fail_fsync_of_folders(1, EINVAL);
    EXPECT_TRUE(write_file_durably(dir.fd(), "tools.json", "{}"));
    EXPECT_EQ(failures, 0) << "asked once";
    EXPECT_EQ(dir.read("tools.json"), "{}");
}

TEST(Files, WhatAKilledWriterOfAFileLeftIsRemovedAndNothingElse) {
    const test::TempDir dir;
    for (const char* name :
         {".plan.json.tmp12.0", ".plan.json.tmp7.31", ".tools.json.tmp12.1", "plan.json", "tmp"})
        dir.write(name, "x");
    remove_unfinished(dir.fd(), "plan.json");
    EXPECT_EQ(list_dir(dir.fd(), ""), (std::vector<std::string>{".tools.json.tmp12.1", "plan.json", "tmp"}));
}

TEST(Files, NoComponentMayBeALink) {
    const test::TempDir dir, outside;
    outside.write("secret", "s");
    std::filesystem::create_directory_symlink(outside.path(), dir.path() / "link");
    dir.write("real/file", "x");
    std::filesystem::create_symlink("file", dir.path() / "real/alias");
    EXPECT_EQ(open_regular_below(dir.fd(), "link/secret").error().code, ErrorCode::kRefused);
    EXPECT_EQ(open_regular_below(dir.fd(), "real/alias").error().code, ErrorCode::kRefused);
    EXPECT_EQ(open_dir_below(dir.fd(), "link/new", Missing::kCreate).error().code, ErrorCode::kRefused);
    EXPECT_FALSE(std::filesystem::exists(outside.path() / "new"));
    EXPECT_TRUE(open_regular_below(dir.fd(), "real/file"));
}

TEST(Files, AFolderIsListedAsOftenAsAsked) {
    const test::TempDir dir;
    dir.write("b", "");
    dir.write("a", "");
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(list_dir(dir.fd(), ""), (std::vector<std::string>{"a", "b"}));
}

TEST(Files, OnlyRegularFilesAreReadAndAFifoDoesNotBlock) {
    const test::TempDir dir;
    ASSERT_EQ(::mkfifo((dir.path() / "fifo").c_str(), 0600), 0);
    EXPECT_EQ(open_regular(dir.fd(), "fifo").error().code, ErrorCode::kRefused);
    EXPECT_EQ(open_regular(dir.fd(), ".").error().code, ErrorCode::kRefused);
    EXPECT_EQ(open_regular(dir.fd(), "none").error().code, ErrorCode::kNotFound);
}

TEST(Files, AFullDiskAndAFullQuotaAreNoSpace) {
    for (const int error : {ENOSPC, EDQUOT})
        EXPECT_EQ(errno_error(error, "write plan.json").code, ErrorCode::kNoSpace) << error;
    EXPECT_EQ(errno_error(EIO, "write plan.json").code, ErrorCode::kInternal);
}

TEST(Files, AFileOverItsLimitIsRefusedBeforeItIsRead) {
    const test::TempDir dir;
    dir.write("plan.json", "12345");
    EXPECT_EQ(read_file(dir.fd(), "plan.json", 5).value(), "12345");
    EXPECT_EQ(read_file(dir.fd(), "plan.json", 4).error().code, ErrorCode::kCorrupt);
}

TEST(Identity, ProcStatIsReadPastTheNastiestProgramName) {
    const std::string text =
        "4242 (a) R (b 1) S 1 4242 4242 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654321 1 2 3";
    EXPECT_EQ(parse_proc_stat(text), (ProcStat{'S', 987654321, 4194560, 0, 0})) << "an old kernel's";
    const std::string zeros = " 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0";  // fields 26 to 49
    EXPECT_EQ(parse_proc_stat(text + zeros + " 700 788 0"), (ProcStat{'S', 987654321, 4194560, 700, 788}));
    EXPECT_FALSE(parse_proc_stat(""));
    EXPECT_FALSE(parse_proc_stat("1 (x) S 1 2 3"));
    EXPECT_FALSE(parse_proc_stat("1 (x)"));
}

TEST(Identity, OfThisProcessTheKernelTellsWhereItsEnvironmentIs) {
    const auto stat = parse_proc_stat(read_proc("/proc/self/stat"));
    ASSERT_TRUE(stat);
    EXPECT_EQ(stat->env_end - stat->env_start, read_proc("/proc/self/environ").size());
}

TEST(Identity, AProcessIsFoundByItsEnvironmentAndOneWithoutAnyIsNoneAmidAnExec) {
    const std::string entry = "NSA_TEST_OF_IDENTITY=" + std::to_string(::getpid());
    const auto start = [](Environment environment) {
        SpawnRequest request;
        request.program = "/bin/sleep";
        request.argv = {"sleep", "300"};
        request.environment = std::move(environment);
        return spawn(request).value();
    };
    const pid_t bare = start({}),
                ours = start({{"A", "b"}, {"NSA_TEST_OF_IDENTITY", std::to_string(::getpid())}});
    EnvironmentScan scan = processes_with_environment(entry);
    // Others on this machine may be amid an exec for a moment; one that stays without is not waited for.
    for (int i = 0; i < 2000 && scan.veiled != 0; ++i)
        scan = processes_with_environment(entry);
    EXPECT_EQ(scan.found, std::vector{ours});
    EXPECT_EQ(scan.veiled, 0U);
    for (const pid_t pid : {bare, ours}) {
        ::kill(pid, SIGKILL);
        EXPECT_EQ(::waitpid(pid, nullptr, 0), pid);
    }
    EXPECT_TRUE(processes_with_environment(entry).found.empty());
}

TEST(Identity, WeAreAliveAndAnotherStartIsNotUs) {
    const auto self = identity_of(::getpid()).value();
    EXPECT_EQ(liveness_of(self), Liveness::kAlive);
    EXPECT_EQ(liveness_of({self.pid, self.start_ticks + 1, self.boot_id}), Liveness::kDead);
    EXPECT_EQ(liveness_of({self.pid, self.start_ticks, "other"}), Liveness::kRebooted);
}

}  // namespace
}  // namespace nsa::posix
