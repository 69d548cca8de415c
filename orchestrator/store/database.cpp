#include "store/database.hpp"

#include <sqlite3.h>

#include "store/backup.hpp"
#include "store/disk_errors.hpp"

namespace nsa::store {

namespace {

constexpr int kBusyTimeoutMs = 5000;

}  // namespace

Database::Database(const std::filesystem::path& path)
    : path_(path), connection_(path.string(), SQLite::OPEN_READWRITE, kBusyTimeoutMs) {}

SQLite::Statement& Database::prepared(const char* sql) {
    std::unique_ptr<SQLite::Statement>& statement = statements_[sql];
    if (!statement) statement = std::make_unique<SQLite::Statement>(connection_, sql);
    statement->tryReset();
    return *statement;
}

std::int64_t Database::metric_no(const std::string& name, const std::string& unit) {
    const std::string key = name + '\0' + unit;
    if (const auto known = metrics_.find(key); known != metrics_.end()) return known->second;
    execute("INSERT INTO metric (name, unit) VALUES (?, ?) ON CONFLICT DO NOTHING", name, unit);
    Query found = query("SELECT metric_no FROM metric WHERE name = ? AND unit = ?", name, unit);
    found.next();
    return metrics_[key] = found.integer(0);
}

std::int64_t Database::label_no(const std::string& labels_json) {
    if (const auto known = label_sets_.find(labels_json); known != label_sets_.end()) return known->second;
    execute("INSERT INTO label_set (labels) VALUES (?) ON CONFLICT DO NOTHING", labels_json);
    Query found = query("SELECT label_no FROM label_set WHERE labels = ?", labels_json);
    found.next();
    return label_sets_[labels_json] = found.integer(0);
}

void Database::forget_numbers() {
    metrics_.clear();
    label_sets_.clear();
}

bool Database::in_open_transaction() {
    return ::sqlite3_get_autocommit(connection_.getHandle()) == 0;
}

Error Database::error_of(const SQLite::Exception& exception, std::string where) {
    const std::string text = exception.what();
    if (disk_was_full(exception, connection_.getHandle()))
        return fail(ErrorCode::kNoSpace, "the disk of the database is full: " + text, std::move(where));
    switch (primary_code(exception)) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return fail(ErrorCode::kTimeout, "another program keeps the database locked: " + text,
                        std::move(where));
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            broken_ = damaged(path_, text);
            return *broken_;
        case SQLITE_IOERR:
            broken_ = fail(ErrorCode::kCorrupt,
                           "the disk failed under the database (" + text +
                               "): nothing more is written to it before it was opened and checked anew",
                           path_.string());
            return *broken_;
        case SQLITE_CONSTRAINT:
            return fail(ErrorCode::kConflict, "the database refused a row: " + text, std::move(where));
        default:
            return fail(ErrorCode::kInternal, "the database failed: " + text, std::move(where));
    }
}

}  // namespace nsa::store
