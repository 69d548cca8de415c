#include "store/store.hpp"

#include <SQLiteCpp/Backup.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "language/failpoint.hpp"
#include "store/impl.hpp"
#include "store/migrate.hpp"

namespace nsa::store {

namespace {

// STRICT tables are the newest thing we use.
constexpr int kSqliteFloor = 3037000;

// SQLite would create the file with the umask's mode; its WAL and shared memory take the mode of the file.
Result<void> create_private(const std::filesystem::path& path) {
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) {
        return fail(ErrorCode::kInternal, std::string("cannot open the database: ") + std::strerror(errno),
                    path.string());
    }
    ::close(descriptor);
    return {};
}

Result<void> prepare(Database& database, const std::string& where) {
    if (Result<void> sound = check_database(database, where); !sound) return sound;
    SQLite::Database& connection = database.connection();
    const std::string mode = connection.execAndGet("PRAGMA journal_mode = WAL").getString();
    if (mode != "wal") {
        return fail(ErrorCode::kInternal,
                    "the file system does not allow SQLite's WAL mode (got '" + mode +
                        "'): keep the database on a local disk",
                    where);
    }
    connection.exec("PRAGMA synchronous = FULL");
    connection.exec("PRAGMA foreign_keys = ON");
    connection.exec("PRAGMA trusted_schema = OFF");
    failpoint("daemon.migration.begin");
    Result<void> migrated = migrate(database, where);
    failpoint("daemon.migration.after_commit");
    return migrated;
}

}  // namespace

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;

int Store::schema_version() {
    return static_cast<int>(migrations().size());
}

Result<Store> Store::open(const std::filesystem::path& path) {
    if (sqlite3_libversion_number() < kSqliteFloor) {
        return fail(ErrorCode::kInternal,
                    std::string("SQLite ") + sqlite3_libversion() + " is too old: 3.37 or later is needed",
                    path.string());
    }
    if (Result<void> created = create_private(path); !created) return created.error();
    return read_only(path.string(), [&]() -> Result<Store> {
        auto impl = std::make_unique<Impl>(path);
        if (Result<void> ready = prepare(impl->database, path.string()); !ready) return ready.error();
        return Store(std::move(impl));
    });
}

Result<void> Store::backup_to(const std::filesystem::path& path) {
    if (std::filesystem::exists(path))
        return fail(ErrorCode::kConflict, "the backup file is there already", path.string());
    if (Result<void> created = create_private(path); !created) return created.error();
    return read_only(path.string(), [&]() -> Result<void> {
        SQLite::Database copy(path.string(), SQLite::OPEN_READWRITE);
        SQLite::Backup backup(copy, impl_->database.connection());
        backup.executeStep(-1);  // all pages: consistent, as one read transaction
        return {};
    });
}

}  // namespace nsa::store
