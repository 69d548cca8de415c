#include "store/disk_errors.hpp"

#include <SQLiteCpp/Exception.h>
#include <sqlite3.h>

#include <cerrno>

#include "system/disk_full.hpp"

namespace nsa::store {

namespace {

constexpr int kPrimary = 0xff;

// Of the moment when it was thrown: a rollback since then has left other words in the connection.
int extended_code(const SQLite::Exception& exception) {
    const int code = exception.getErrorCode();
    return code > kPrimary ? code : exception.getExtendedErrorCode();
}

}  // namespace

int primary_code(const SQLite::Exception& exception) {
    const int code = exception.getErrorCode();
    return code < 0 ? code : code & kPrimary;
}

bool disk_was_full(const SQLite::Exception& exception, sqlite3* connection) {
    if (primary_code(exception) == SQLITE_FULL) return true;
    if (primary_code(exception) != SQLITE_IOERR) return false;
    const int extended = extended_code(exception);
    if (extended == SQLITE_IOERR_FSYNC || extended == SQLITE_IOERR_DIR_FSYNC) return false;
    // Failing to grow a file of its own is an I/O error to SQLite, also when the disk is merely full.
    return is_disk_full(::sqlite3_system_errno(connection));
}

}  // namespace nsa::store
