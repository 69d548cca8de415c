#include "store/migrate.hpp"

#include "language/failpoint.hpp"
#include "store/backup.hpp"

namespace nsa::store {

namespace {

// "nsa1" in the file header: tells our database from any other SQLite file.
constexpr std::int64_t kApplicationId = 0x6e736131;

std::int64_t pragma(Database& database, const std::string& name) {
    return database.connection().execAndGet("PRAGMA " + name).getInt64();
}

std::int64_t version_of(Database& database) {
    return pragma(database, "user_version");
}

Result<void> check_owner(Database& database, const std::string& path) {
    const std::int64_t objects =
        database.connection().execAndGet("SELECT count(*) FROM sqlite_master").getInt64();
    if (objects == 0 || pragma(database, "application_id") == kApplicationId) return {};
    return fail(ErrorCode::kCorrupt, "this SQLite file belongs to another program; give another path", path);
}

Result<void> check_version(Database& database, const std::string& path) {
    const std::int64_t version = version_of(database);
    const auto known = static_cast<std::int64_t>(migrations().size());
    if (version <= known) return {};
    return fail(ErrorCode::kConflict,
                "the database has schema " + std::to_string(version) + " and this program knows up to " +
                    std::to_string(known) + ": run the newer program, or restore the backup made before it",
                path);
}

// quick_check says "ok" or lists what is wrong.
Result<void> check_whole(Database& database, const std::string& path) {
    const std::string found = database.connection().execAndGet("PRAGMA quick_check(1)").getString();
    if (found == "ok") return {};
    return damaged(path, found);
}

// The applied migrations must be those of this program: an edited one would leave two different schemas with
// one version number.
Result<void> check_applied(Database& database, const std::string& path) {
    if (version_of(database) == 0) return {};
    SQLite::Statement applied(database.connection(), "SELECT version, name, sha256 FROM schema_migration");
    while (applied.executeStep()) {
        const int version = applied.getColumn(0).getInt();
        const Migration& ours = migrations()[static_cast<std::size_t>(version) - 1];
        if (applied.getColumn(1).getString() == ours.name && applied.getColumn(2).getString() == ours.sha256)
            continue;
        return fail(ErrorCode::kConflict,
                    "migration " + applied.getColumn(1).getString() +
                        " in the database differs from this program's " + ours.name +
                        ": the program that made it was another build; use that one or another path",
                    path);
    }
    return {};
}

}  // namespace

Result<void> check_database(Database& database, const std::string& path) {
    for (const auto& check : {check_owner, check_version, check_whole, check_applied}) {
        if (Result<void> held = check(database, path); !held) return held;
    }
    return {};
}

Result<void> migrate(Database& database, const std::string& path) {
    return in_transaction(database, path, [&]() -> Result<void> {
        // Read inside the transaction: another process may have migrated in between.
        const std::int64_t from = version_of(database);
        if (from == 0) {
            database.connection().exec("PRAGMA application_id = " + std::to_string(kApplicationId));
            database.connection().exec(
                "CREATE TABLE schema_migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL, "
                "sha256 TEXT NOT NULL) STRICT");
        }
        for (std::size_t next = static_cast<std::size_t>(from); next < migrations().size(); ++next) {
            const Migration& migration = migrations()[next];
            database.connection().exec(migration.sql);
            database.execute("INSERT INTO schema_migration (version, name, sha256) VALUES (?, ?, ?)",
                             next + 1, std::string(migration.name), std::string(migration.sha256));
        }
        database.connection().exec("PRAGMA user_version = " + std::to_string(migrations().size()));
        failpoint("daemon.migration.before_commit");
        return {};
    });
}

}  // namespace nsa::store
