// Attempts: the intent before a launch, the worker's answer, and what is known of each.
#include "store/impl.hpp"

namespace nsa::store {

Result<void> Store::begin_attempt(const RunId& run, Attempt attempt, const InstanceName& instance,
                                  std::int64_t at_ms) {
    Database& database = impl_->database;
    return in_transaction(database, "run " + run.value, [&]() -> Result<void> {
        Result<RunKeyRow> key = find_run_key(database, run);
        if (!key) return key.error();
        const std::string where = "run " + run.value + " attempt " + std::to_string(attempt.value);
        if (key->done) return fail(ErrorCode::kConflict, "the run is DONE", where);
        if (attempt.value != key->attempt + 1) {
            return fail(ErrorCode::kConflict, "the next attempt is " + std::to_string(key->attempt + 1),
                        where);
        }
        database.execute(
            "INSERT INTO attempt (run_no, attempt, state, instance, begun_ms) VALUES (?, ?, 'launching', ?, "
            "?)",
            key->run_no, attempt.value, instance, at_ms);
        database.execute(
            "UPDATE run SET attempt = ?1, instance = ?2, started_ms = iif(started_ms = 0, ?3, started_ms) "
            "WHERE run_no = ?4",
            attempt.value, instance, at_ms, key->run_no);
        record_change(database, key->run_no, "attempt_begun", at_ms, "on " + instance.value);
        return {};
    });
}

Result<void> Store::record_launch(const RunId& run, Attempt attempt, const LaunchRecord& launch) {
    Database& database = impl_->database;
    return in_transaction(database, "run " + run.value, [&]() -> Result<void> {
        Result<RunKeyRow> key = find_run_key(database, run);
        if (!key) return key.error();
        if (Result<void> current = check_current(*key, run, attempt.value); !current) return current;
        const int changed = database.execute(
            "UPDATE attempt SET state = 'launched', pid = ?, start_ticks = ?, boot_id = ? "
            "WHERE run_no = ? AND attempt = ? AND state = 'launching'",
            launch.pid, launch.start_ticks, launch.boot_id, key->run_no, attempt.value);
        if (changed > 0) {
            record_change(database, key->run_no, "launched", launch.at_ms,
                          "supervisor pid " + std::to_string(launch.pid));
        }
        return {};
    });
}

namespace {

Result<AttemptState> attempt_state_of(std::string_view text) {
    for (AttemptState state : {AttemptState::kLaunching, AttemptState::kLaunched, AttemptState::kEnded}) {
        if (to_string(state) == text) return state;
    }
    return fail(ErrorCode::kCorrupt, "unknown attempt state '" + std::string(text) + "'", "database");
}

}  // namespace

Result<std::vector<AttemptRow>> Store::attempts(const RunId& run) {
    return rows_of_run(impl_->database, run,
                       "SELECT " NSA_ATTEMPT_COLUMNS " FROM attempt a WHERE a.run_no = ? ORDER BY a.attempt",
                       [](Query& found) { return read_attempt(found, 0); });
}

Result<std::vector<FailedTry>> Store::failed_tries(const RunId& run) {
    return rows_of_run(
        impl_->database, run,
        "SELECT number, attempt, instance, reason, message, over_ms FROM failed_try WHERE run_no = ? "
        "ORDER BY number",
        [](Query& found) -> Result<FailedTry> {
            const Result<language::Reason> reason =
                enum_of<language::Reason>(found.text(3), "failed_try.reason");
            if (!reason) return reason.error();
            return FailedTry{static_cast<int>(found.integer(0)),
                             attempt_of(found.integer(1)),
                             InstanceName{found.text(2)},
                             *reason,
                             found.text(4),
                             found.integer(5)};
        });
}

Result<AttemptRow> read_attempt(Query& found, int column) {
    AttemptRow row;
    row.attempt = attempt_of(found.integer(column));
    Result<AttemptState> state = attempt_state_of(found.text(column + 1));
    if (!state) return state.error();
    row.state = *state;
    row.instance = InstanceName{found.text(column + 2)};
    row.pid = found.integer(column + 3);
    row.start_ticks = found.size(column + 4);
    row.boot_id = found.text(column + 5);
    row.last_seq = found.size(column + 6);
    row.begun_ms = found.integer(column + 7);
    if (found.is_null(column + 8)) return row;
    Result<language::RunEnd> end = enum_of<language::RunEnd>(found.text(column + 8), "attempt.end");
    if (!end) return end.error();
    row.finished = language::RunFinished{*end, found.text(column + 9), Sha256{found.text(column + 10)},
                                         found.size(column + 11), found.size(column + 12)};
    return row;
}

}  // namespace nsa::store
