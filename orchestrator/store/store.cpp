#include "store/store.hpp"

#include <fcntl.h>
#include <sqlite3.h>

#include <cerrno>

#include "language/failpoint.hpp"
#include "store/backup.hpp"
#include "store/impl.hpp"
#include "store/migrate.hpp"
#include "system/file_error.hpp"
#include "system/unique_fd.hpp"

namespace nsa::store {

namespace {

// STRICT tables are the newest thing we use.
constexpr int kSqliteFloor = 3037000;

// SQLite would create the file with the umask's mode; its WAL and shared memory take the mode of the file.
Result<void> create_private(const std::filesystem::path& path) {
    const UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!file) return file_error(errno, "cannot open the database", path);
    return {};
}

// The way back to the program before this one: a copy of the file as that one left it, whole or not there.
Result<void> keep_older_schema(Database& database, const std::string& path) {
    const int version = database.connection().execAndGet("PRAGMA user_version").getInt();
    if (version == 0 || version == Store::schema_version()) return {};
    return replace_copy(path, path + ".schema-" + std::to_string(version));
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
    if (Result<void> kept = keep_older_schema(database, where); !kept) return kept;
    failpoint("daemon.migration.begin");
    Result<void> migrated = migrate(database, where);
    failpoint("daemon.migration.after_commit");
    return migrated;
}

struct Batch {
    explicit Batch(Database& of) : database(of) { database.set_in_batch(true); }
    ~Batch() { database.set_in_batch(false); }
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;
    Database& database;
};

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
    std::unique_ptr<Impl> impl;
    try {
        impl = std::make_unique<Impl>(path);
    } catch (const SQLite::Exception& exception) {
        return fail(ErrorCode::kInternal, std::string("cannot open the database: ") + exception.what(),
                    path.string());
    }
    auto ready = [&] { return prepare(impl->database, path.string()); };
    if (Result<void> prepared = read_only(impl->database, path.string(), ready); !prepared)
        return prepared.error();
    return Store(std::move(impl));
}

Result<void> Store::together(const std::function<Result<void>()>& body) {
    Database& database = impl_->database;
    return in_transaction(database, "batch", [&]() -> Result<void> {
        const Batch batch(database);
        return body();
    });
}

const std::optional<Error>& Store::broken() const {
    return impl_->database.broken();
}

std::int64_t Store::changes() const {
    return impl_->database.connection().getTotalChanges();
}

}  // namespace nsa::store
