// What an error of SQLite says about the disk below it. Private to this box.
#pragma once

struct sqlite3;
namespace SQLite {
class Exception;
}

namespace nsa::store {

// The disk had no room for a write: nothing of it counts, and it may be tried again. Never so for a failed
// fsync, whatever its errno: the kernel may have dropped the pages, and a second fsync would succeed without
// them. `connection`: the one that failed.
bool disk_was_full(const SQLite::Exception& exception, sqlite3* connection);

// SQLite's primary result code; SQLiteCpp passes on extended ones here and there.
int primary_code(const SQLite::Exception& exception);

}  // namespace nsa::store
