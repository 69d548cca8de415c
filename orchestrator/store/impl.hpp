// What the parts of Store share. Private to this box.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "language/names.hpp"
#include "store/database.hpp"
#include "store/store.hpp"

namespace nsa::store {

struct Store::Impl {
    explicit Impl(const std::filesystem::path& path) : database(path) {}
    Database database;
};

// The number and guard fields of a run, read first by most mutations.
struct RunKeyRow {
    std::int64_t run_no = 0;
    int attempt = 0;
    bool done = false;
};
Result<RunKeyRow> find_run_key(Database& database, const RunId& run);

// Every row that is found, as `read` makes it: Result<Row>(Query&). Its first error is the answer.
template <class Read>
auto rows_of(Query found, Read read) {
    using Row = typename std::invoke_result_t<Read, Query&>::value_type;
    std::vector<Row> rows;
    while (found.next()) {
        auto row = read(found);
        if (!row) return Result<std::vector<Row>>(row.error());
        rows.push_back(std::move(*row));
    }
    return Result<std::vector<Row>>(std::move(rows));
}

// The same of a run; kNotFound when there is none. The first parameter of `sql` is run_no, `more` follow.
template <class Read, class... Values>
auto rows_of_run(Database& database, const RunId& run, const char* sql, Read read, const Values&... more) {
    using Rows = decltype(rows_of(database.query(sql, run), read));
    return read_only(database, "run " + run.value, [&]() -> Rows {
        const Result<RunKeyRow> key = find_run_key(database, run);
        if (!key) return key.error();
        return rows_of(database.query(sql, key->run_no, more...), read);
    });
}

// Says that something about the run or its cases changed; returns the new version.
std::uint64_t bump_version(Database& database, std::int64_t run_no);

// The same, with a line in the run's history. The run row must already be in its new state.
std::uint64_t record_change(Database& database, std::int64_t run_no, std::string_view what,
                            std::int64_t at_ms, std::string_view message);

// kConflict unless `attempt` is the run's latest and the run is not DONE.
Result<void> check_current(const RunKeyRow& key, const RunId& run, int attempt);

// The attempt columns of a row, from `column` on, in the order of NSA_ATTEMPT_COLUMNS.
#define NSA_ATTEMPT_COLUMNS                                                                            \
    "a.attempt, a.state, a.instance, a.pid, a.start_ticks, a.boot_id, a.last_seq, a.begun_ms, a.end, " \
    "a.end_detail, a.manifest, a.manifest_files, a.manifest_bytes"
Result<AttemptRow> read_attempt(Query& found, int column);

// The value of a word that this program wrote; kCorrupt for any other.
template <class Enum>
Result<Enum> enum_of(std::string_view text, std::string_view column) {
    if (const auto value = language::value_named<Enum>(text)) return *value;
    return fail(ErrorCode::kCorrupt,
                "unknown word '" + std::string(text) + "' in column " + std::string(column), "database");
}

// Label sets, argv and fact maps are stored as JSON text with sorted keys.
std::string json_of(const std::map<std::string, std::string>& texts);
std::string json_of(const std::vector<std::string>& texts);
Result<std::map<std::string, std::string>> text_map_of(std::string_view json);
Result<std::vector<std::string>> text_list_of(std::string_view json);

}  // namespace nsa::store
