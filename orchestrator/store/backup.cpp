#include "store/backup.hpp"

#include <SQLiteCpp/Backup.h>
#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "language/failpoint.hpp"

namespace nsa::store {

namespace fs = std::filesystem;

namespace {

Error system_error(const std::string& what, const fs::path& path) {
    const int number = errno;
    const bool full = number == ENOSPC || number == EDQUOT;
    return fail(full ? ErrorCode::kNoSpace : ErrorCode::kInternal, what + ": " + std::strerror(number),
                path.string());
}

// Opens, syncs and closes a file or folder.
Result<void> sync(const fs::path& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return system_error("cannot open", path);
    const bool synced = ::fsync(descriptor) == 0;
    Result<void> result;
    if (!synced) result = system_error("cannot sync", path);
    ::close(descriptor);
    return result;
}

// A copy must not be what fills the disk.
Result<void> check_room(const fs::path& database, const fs::path& copy) {
    std::error_code ec;
    const std::uintmax_t size = fs::file_size(database, ec);
    if (ec) {
        const bool missing = ec == std::errc::no_such_file_or_directory;
        return fail(missing ? ErrorCode::kNotFound : ErrorCode::kInternal,
                    "there is no database to copy: " + ec.message(), database.string());
    }
    const fs::space_info space = fs::space(copy.parent_path(), ec);
    if (ec || space.available >= 2 * size) return {};
    return fail(ErrorCode::kNoSpace,
                "a copy of " + std::to_string(size >> 20) + " MiB would leave the disk nearly full",
                copy.string());
}

Result<void> copy_pages(const fs::path& database, const fs::path& copy) {
    try {
        SQLite::Database from(database.string(), SQLite::OPEN_READONLY);
        SQLite::Database to(copy.string(), SQLite::OPEN_READWRITE);
        {
            SQLite::Backup backup(to, from);
            // All pages: consistent, as one read transaction. A locked file is no exception to SQLiteCpp.
            if (backup.executeStep(-1) != SQLITE_DONE) {
                return fail(ErrorCode::kTimeout, "another program keeps the database locked; try again",
                            database.string());
            }
        }
        const std::string found = to.execAndGet("PRAGMA quick_check(1)").getString();
        if (found != "ok") return damaged(database, found);
        return {};
    } catch (const SQLite::Exception& exception) {
        const int code = exception.getErrorCode();
        if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) return damaged(database, exception.what());
        return fail(code == SQLITE_FULL ? ErrorCode::kNoSpace : ErrorCode::kInternal,
                    std::string("cannot copy the database: ") + exception.what(), copy.string());
    }
}

}  // namespace

fs::path backup_of(const fs::path& database) {
    return database.string() + ".backup";
}

Result<void> copy_database(const fs::path& database, const fs::path& copy) {
    if (Result<void> room = check_room(database, copy); !room) return room;
    const int descriptor = ::open(copy.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0 && errno == EEXIST)
        return fail(ErrorCode::kConflict, "there is a file already; give another name", copy.string());
    if (descriptor < 0) return system_error("cannot make the copy", copy);
    ::close(descriptor);
    Result<void> copied = copy_pages(database, copy);
    if (copied) copied = sync(copy);
    if (copied) return sync(fs::absolute(copy).parent_path());
    std::error_code ignored;  // what is left of it would only be mistaken for a backup
    fs::remove(copy, ignored);
    return copied;
}

Result<void> replace_copy(const fs::path& database, const fs::path& copy) {
    const fs::path fresh = copy.string() + ".new";
    std::error_code ignored;  // of a copy that a crash interrupted
    fs::remove(fresh, ignored);
    if (Result<void> copied = copy_database(database, fresh); !copied) return copied;
    failpoint("daemon.backup.before_rename");
    if (::rename(fresh.c_str(), copy.c_str()) != 0) return system_error("cannot name the copy", fresh);
    failpoint("daemon.backup.after_rename");
    return sync(fs::absolute(copy).parent_path());
}

Result<void> replace_backup(const fs::path& database) {
    return replace_copy(database, backup_of(database));
}

Error damaged(const fs::path& database, const std::string& found) {
    const fs::path backup = backup_of(database);
    struct stat info {};
    std::string advice = "there is no backup beside it; restore one of yours";
    if (::stat(backup.c_str(), &info) == 0) {
        char when[32] = {};
        std::tm utc{};
        ::gmtime_r(&info.st_mtime, &utc);
        (void)std::strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &utc);
        advice = "stop the daemon, keep the damaged file aside with its -wal, and copy the backup of " +
                 std::string(when) + " in its place: " + backup.string();
    }
    return fail(ErrorCode::kCorrupt,
                "the database is damaged (" + found + "): nothing more is written to it; " + advice,
                database.string());
}

}  // namespace nsa::store
