// The connection: prepared statements by their text, transactions, and SQLite's errors as ours.
// Private to this box; the only header that includes SQLiteCpp.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "language/ids.hpp"
#include "language/result.hpp"

namespace nsa::store {

inline Attempt attempt_of(std::int64_t number) {
    return Attempt{static_cast<int>(number)};
}

// One execution of a prepared statement. Resets it at the end: a statement left open would hold its read
// lock.
class Query {
  public:
    explicit Query(SQLite::Statement& statement) : statement_(statement) {}
    ~Query() { statement_.tryReset(); }
    Query(const Query&) = delete;
    Query& operator=(const Query&) = delete;

    bool next() { return statement_.executeStep(); }
    std::int64_t integer(int column) { return statement_.getColumn(column).getInt64(); }
    std::uint64_t size(int column) { return static_cast<std::uint64_t>(integer(column)); }
    bool flag(int column) { return integer(column) != 0; }
    double real(int column) { return statement_.getColumn(column).getDouble(); }
    bool is_null(int column) { return statement_.getColumn(column).isNull(); }
    std::string text(int column) { return statement_.getColumn(column).getString(); }

  private:
    SQLite::Statement& statement_;
};

class Database {
  public:
    explicit Database(const std::filesystem::path& path);

    // Binds `values` in order to the statement of `sql`, a literal: it is prepared once for each address.
    // Integers, bools, doubles, texts, ids and optionals of them (empty: NULL).
    template <class... Values>
    Query query(const char* sql, const Values&... values) {
        SQLite::Statement& statement = prepared(sql);
        int index = 0;
        (bind(statement, ++index, values), ...);
        return Query(statement);
    }
    // The same for a statement without rows; returns the rows changed.
    template <class... Values>
    int execute(const char* sql, const Values&... values) {
        Query running = query(sql, values...);
        while (running.next()) {
        }
        return connection_.getChanges();
    }
    std::int64_t last_insert_no() { return connection_.getLastInsertRowid(); }
    SQLite::Database& connection() { return connection_; }

    // SQLite's exception as an Error with a code that callers can act on. A failed disk or a damaged file is
    // remembered: nothing is written from then on, because a failed fsync cannot be tried again as if nothing
    // had happened.
    Error error_of(const SQLite::Exception& exception, std::string where);
    const std::optional<Error>& broken() const { return broken_; }

    // Inside of a batch every transaction is a savepoint of one outer transaction (Store::together).
    bool in_batch() const { return in_batch_; }
    void set_in_batch(bool value) { in_batch_ = value; }
    // False where SQLite has ended the transaction by itself.
    bool in_open_transaction();

    // Numbers of metrics and label sets, made on first use. Inside a transaction only.
    std::int64_t metric_no(const std::string& name, const std::string& unit);
    std::int64_t label_no(const std::string& labels_json);
    // What was remembered of a transaction that is rolled back never happened.
    void forget_numbers();

  private:
    template <class T>
    static void bind(SQLite::Statement& statement, int index, const T& value) {
        if constexpr (std::is_same_v<T, bool>) {
            statement.bind(index, value ? 1 : 0);
        } else if constexpr (std::is_integral_v<T>) {
            statement.bind(index, static_cast<std::int64_t>(value));
        } else if constexpr (std::is_floating_point_v<T>) {
            statement.bind(index, value);
        } else {
            statement.bind(index, std::string(value));
        }
    }
    template <class T>
    static void bind(SQLite::Statement& statement, int index, const std::optional<T>& value) {
        if (value) {
            bind(statement, index, *value);
        } else {
            statement.bind(index);
        }
    }
    static void bind(SQLite::Statement& statement, int index, const std::string& value) {
        statement.bind(index, value);
    }
    template <class Tag>
    static void bind(SQLite::Statement& statement, int index, const Id<Tag>& id) {
        statement.bind(index, id.value);
    }
    SQLite::Statement& prepared(const char* sql);

    std::filesystem::path path_;
    SQLite::Database connection_;
    std::optional<Error> broken_;
    bool in_batch_ = false;
    std::unordered_map<const char*, std::unique_ptr<SQLite::Statement>> statements_;
    std::unordered_map<std::string, std::int64_t> metrics_, label_sets_;
};

// Runs `body`, which returns a Result, and turns SQLite's exceptions into errors.
template <class Body>
auto read_only(Database& database, std::string where, Body body) -> decltype(body()) {
    try {
        return body();
    } catch (const SQLite::Exception& exception) {
        return database.error_of(exception, std::move(where));
    }
}

// Part of a batch: what `body` did is taken back for an error, and the rest of the batch goes on. After an
// exception too, unless SQLite has rolled back the whole batch by itself (a full or failed disk): a row that
// a constraint refuses is an exception, and what stood before it in `body` must not be committed with the
// others.
template <class Body>
auto in_savepoint(Database& database, Body body) -> decltype(body()) {
    database.execute("SAVEPOINT one");
    const auto take_back = [&database] {
        database.forget_numbers();
        database.execute("ROLLBACK TO one");
        database.execute("RELEASE one");
    };
    try {
        auto result = body();
        if (result) {
            database.execute("RELEASE one");
        } else {
            take_back();
        }
        return result;
    } catch (const SQLite::Exception&) {
        if (database.in_open_transaction()) take_back();
        throw;
    }
}

// The same in one IMMEDIATE transaction: committed when `body` returns a value, rolled back for an error.
template <class Body>
auto in_transaction(Database& database, std::string where, Body body) -> decltype(body()) {
    if (database.broken()) return *database.broken();
    try {
        if (database.in_batch()) return in_savepoint(database, std::move(body));
        SQLite::Transaction transaction(database.connection(), SQLite::TransactionBehavior::IMMEDIATE);
        auto result = body();
        if (result) {
            transaction.commit();
        } else {
            database.forget_numbers();
        }
        return result;
    } catch (const SQLite::Exception& exception) {
        database.forget_numbers();
        return database.error_of(exception, std::move(where));
    }
}

}  // namespace nsa::store
