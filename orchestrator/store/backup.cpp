#include "store/backup.hpp"

#include <SQLiteCpp/Backup.h>
#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "language/failpoint.hpp"
#include "language/utc_time.hpp"
#include "store/disk_errors.hpp"
#include "system/file_error.hpp"
#include "system/unique_fd.hpp"

namespace nsa::store {

namespace fs = std::filesystem;

namespace {

UniqueFd open_file(const fs::path& path, int flags) {
    return UniqueFd(::open(path.c_str(), flags | O_CLOEXEC, 0600));
}

Result<void> sync(const UniqueFd& file, const fs::path& path) {
    if (::fsync(file.get()) != 0) return file_error(errno, "cannot sync", path);
    return {};
}

Result<void> sync_folder_of(const fs::path& path) {
    const fs::path folder = fs::absolute(path).parent_path();
    const UniqueFd opened = open_file(folder, O_RDONLY);
    if (!opened) return file_error(errno, "cannot open", folder);
    return sync(opened, folder);
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

Error told_to_stop(const fs::path& copy) {
    return fail(ErrorCode::kConflict, "the copy was told to stop", copy.string());
}

Error copy_error(const SQLite::Exception& exception, sqlite3* to, const fs::path& database,
                 const fs::path& copy) {
    switch (primary_code(exception)) {
        case SQLITE_INTERRUPT:
            return told_to_stop(copy);
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return damaged(database, exception.what());
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return fail(ErrorCode::kTimeout, "another program keeps the database locked; try again",
                        database.string());
        default:
            return fail(disk_was_full(exception, to) ? ErrorCode::kNoSpace : ErrorCode::kInternal,
                        std::string("cannot copy the database: ") + exception.what(), copy.string());
    }
}

constexpr int kStepsBetweenLooks = 10'000;  // of SQLite's machine

int is_told_to_stop(void* stop) {
    return static_cast<const std::stop_token*>(stop)->stop_requested() ? 1 : 0;
}

// Piece by piece, each synced: what is left to do when told to stop is short, and so is everybody else's
// fsync meanwhile. One read transaction all the way: without it a commit of the daemon would begin the copy
// anew.
Result<void> copy_pages(SQLite::Database& from, SQLite::Database& to, const UniqueFd& file,
                        const fs::path& copy, const std::stop_token& stop) {
    constexpr int kPages = 2048;  // 8 MiB
    SQLite::Transaction snapshot(from);
    (void)from.execAndGet("SELECT count(*) FROM sqlite_schema");
    SQLite::Backup backup(to, from);
    for (;;) {
        if (stop.stop_requested()) return told_to_stop(copy);
        const int step = backup.executeStep(kPages);
        if (step == SQLITE_DONE) return {};
        if (step != SQLITE_OK) throw SQLite::Exception(::sqlite3_errstr(step), step);  // locked
        if (Result<void> synced = sync(file, copy); !synced) return synced;
    }
}

Result<void> copy_and_check(const fs::path& database, const fs::path& copy, const UniqueFd& file,
                            std::stop_token stop) {
    std::optional<SQLite::Database> to;  // outlives its exceptions
    try {
        to.emplace(copy.string(), SQLite::OPEN_READWRITE);
        to->exec("PRAGMA synchronous = OFF");  // `file` is synced, and nobody knows the copy before that
        ::sqlite3_progress_handler(to->getHandle(), kStepsBetweenLooks, &is_told_to_stop, &stop);
        SQLite::Database from(database.string(), SQLite::OPEN_READONLY);
        if (Result<void> copied = copy_pages(from, *to, file, copy, stop); !copied) return copied;
        const std::string found = to->execAndGet("PRAGMA quick_check(1)").getString();
        if (found != "ok") return damaged(database, found);
        return {};
    } catch (const SQLite::Exception& exception) {
        return copy_error(exception, to ? to->getHandle() : nullptr, database, copy);
    }
}

}  // namespace

fs::path backup_of(const fs::path& database) {
    return database.string() + ".backup";
}

Result<void> copy_database(const fs::path& database, const fs::path& copy, std::stop_token stop) {
    if (Result<void> room = check_room(database, copy); !room) return room;
    // Held to the end: closing it would take SQLite's locks on the copy away.
    const UniqueFd file = open_file(copy, O_RDWR | O_CREAT | O_EXCL);
    if (!file && errno == EEXIST)
        return fail(ErrorCode::kConflict, "there is a file already; give another name", copy.string());
    if (!file) return file_error(errno, "cannot make the copy", copy);
    Result<void> copied = copy_and_check(database, copy, file, std::move(stop));
    if (copied) copied = sync(file, copy);
    if (copied) return sync_folder_of(copy);
    std::error_code ignored;  // what is left of it would only be mistaken for a backup
    fs::remove(copy, ignored);
    return copied;
}

Result<void> replace_copy(const fs::path& database, const fs::path& copy, std::stop_token stop) {
    const fs::path fresh = copy.string() + ".new";
    std::error_code ignored;  // of a copy that a crash interrupted
    for (const char* rest : {"", "-journal", "-wal", "-shm"})
        fs::remove(fresh.string() + rest, ignored);
    if (Result<void> copied = copy_database(database, fresh, std::move(stop)); !copied) return copied;
    failpoint("daemon.backup.before_rename");
    if (::rename(fresh.c_str(), copy.c_str()) != 0) return file_error(errno, "cannot name the copy", fresh);
    failpoint("daemon.backup.after_rename");
    return sync_folder_of(copy);
}

Result<void> replace_backup(const fs::path& database, std::stop_token stop) {
    return replace_copy(database, backup_of(database), std::move(stop));
}

Error damaged(const fs::path& database, const std::string& found) {
    const fs::path backup = backup_of(database);
    struct stat info {};
    std::string advice = "there is no backup beside it; restore one of yours";
    if (::stat(backup.c_str(), &info) == 0) {
        advice = "stop the daemon, keep the damaged file aside with its -wal, and copy the backup of " +
                 language::utc_time(std::int64_t{info.st_mtime} * 1000) + " in its place: " + backup.string();
    }
    return fail(ErrorCode::kCorrupt,
                "the database is damaged (" + found + "): nothing more is written to it; " + advice,
                database.string());
}

}  // namespace nsa::store
