// What the store makes of a disk that fails. This program's fdatasync and fsync stand in front of libc's,
// also for SQLite.
#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "fixture.hpp"
#include "store/backup.hpp"

namespace {

int sync_error = 0;   // 0: none
int write_error = 0;  // of SQLite's writes

long failing_or(int error, long call, int descriptor) {
    if (error == 0) return ::syscall(call, descriptor);
    errno = error;
    return -1;
}

sqlite3_syscall_ptr real_write = nullptr;

ssize_t write_at(int descriptor, const void* bytes, std::size_t count, off_t offset) {
    if (write_error != 0) {
        errno = write_error;
        return -1;
    }
    return reinterpret_cast<decltype(&write_at)>(real_write)(descriptor, bytes, count, offset);
}

}  // namespace

extern "C" int fdatasync(int descriptor) {
    return static_cast<int>(failing_or(sync_error, SYS_fdatasync, descriptor));
}
extern "C" int fsync(int descriptor) {
    return static_cast<int>(failing_or(sync_error, SYS_fsync, descriptor));
}

namespace nsa::store {
namespace {

struct DiskTest : StoreTest {
    void SetUp() override {
        sqlite3_vfs* vfs = ::sqlite3_vfs_find(nullptr);
        for (const char* name : {"pwrite", "pwrite64"}) {
            const sqlite3_syscall_ptr found = vfs->xGetSystemCall(vfs, name);
            if (!found) continue;
            real_write = found;
            vfs->xSetSystemCall(vfs, name, reinterpret_cast<sqlite3_syscall_ptr>(&write_at));
        }
        ASSERT_NE(real_write, nullptr);
    }
    void TearDown() override {
        sync_error = write_error = 0;
        sqlite3_vfs* vfs = ::sqlite3_vfs_find(nullptr);
        vfs->xSetSystemCall(vfs, nullptr, nullptr);
    }
};

TEST_F(DiskTest, A_write_without_room_is_tried_again_and_stands) {
    Store store = open();
    write_error = ENOSPC;
    const Result<Submitted> refused = store.submit(a_run("r-1"));
    write_error = 0;
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kNoSpace) << refused.error().describe();
    EXPECT_FALSE(store.broken());
    must(store.submit(a_run("r-1")));
}

TEST_F(DiskTest, A_failed_fsync_is_never_tried_again_on_the_same_connection_whatever_its_errno) {
    for (const int error : {EIO, ENOSPC, EDQUOT}) {
        Store store = open();
        sync_error = error;
        const Result<Submitted> refused = store.submit(a_run("r-" + std::to_string(error)));
        sync_error = 0;
        ASSERT_FALSE(refused.has_value());
        EXPECT_EQ(refused.error().code, ErrorCode::kCorrupt) << refused.error().describe();
        EXPECT_TRUE(store.broken());
        EXPECT_EQ(store.submit(a_run("r-next")).error().code, ErrorCode::kCorrupt);
    }
    must(open().submit(a_run("r-after")));
}

TEST_F(DiskTest, A_backup_without_room_says_so_and_leaves_the_last_one) {
    Store store = open();
    must(store.submit(a_run("r-1")));
    must(replace_backup(file()));
    for (int* call : {&write_error, &sync_error}) {
        for (const int error : {ENOSPC, EDQUOT}) {
            *call = error;
            const Result<void> copied = replace_backup(file());
            *call = 0;
            ASSERT_FALSE(copied.has_value());
            EXPECT_EQ(copied.error().code, ErrorCode::kNoSpace) << copied.error().describe();
            EXPECT_FALSE(std::filesystem::exists(backup_of(file()).string() + ".new"));
        }
    }
    EXPECT_EQ(must(must(Store::open(backup_of(file()))).list_runs(10)).size(), 1U);
}

}  // namespace
}  // namespace nsa::store
