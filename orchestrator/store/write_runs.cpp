// Mutations of a run's row: submission, state, cancel.
#include "language/hash.hpp"
#include "store/impl.hpp"

namespace nsa::store {

using language::RunState;

namespace {

// Without a tree the hash is that of databases older than it.
Sha256 body_hash(const NewRun& run) {
    return sha256_of(run.spec_hash.value + '\n' + run.requested_instance.value + '\n' +
                     sha256_of(run.spec_yaml).value + (run.tree.empty() ? "" : '\n' + run.tree));
}

// The run an idempotency key already stands for: kConflict when its body was another.
Result<std::optional<Submitted>> find_by_key(Database& database, const NewRun& run, const Sha256& body) {
    if (run.idempotency_key.empty()) return std::optional<Submitted>{};
    Query found =
        database.query("SELECT run, body_hash FROM run WHERE idempotency_key = ?", run.idempotency_key);
    if (!found.next()) return std::optional<Submitted>{};
    const RunId earlier{found.text(0)};
    if (found.text(1) == body.value) return std::optional(Submitted{earlier, true});
    return fail(ErrorCode::kConflict,
                "idempotency key '" + run.idempotency_key + "' was used for run " + earlier.value +
                    " with another spec, instance or working tree; use another key",
                "submit");
}

void insert_run(Database& database, const NewRun& run, const Sha256& body) {
    const std::optional<std::string> key =
        run.idempotency_key.empty() ? std::nullopt : std::optional(run.idempotency_key);
    database.execute(
        "INSERT INTO run (run, name, subject, spec_hash, thresholds_hash, requested_instance, "
        "idempotency_key, "
        "body_hash, state, reason, created_ms, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'QUEUED', 'none', ?, "
        "0)",
        run.run, run.name, run.subject, run.spec_hash, run.thresholds_hash, run.requested_instance, key, body,
        run.created_ms);
    const std::int64_t run_no = database.last_insert_no();
    database.execute("INSERT INTO run_document (run_no, spec_file, spec_yaml, plan_json) VALUES (?, ?, ?, ?)",
                     run_no, run.spec_file, run.spec_yaml, run.plan_json);
    if (!run.outline_json.empty())
        database.execute("INSERT INTO run_outline (run_no, plan_json) VALUES (?, ?)", run_no,
                         run.outline_json);
    std::int64_t ordinal = 0;
    for (const NewCase& planned : run.cases) {
        database.execute(
            "INSERT INTO planned_case (run_no, ordinal, key, step, kind, title) VALUES (?, ?, ?, ?, ?, ?)",
            run_no, ordinal++, planned.key, planned.step, planned.kind, planned.title);
    }
    record_change(database, run_no, "submitted", run.created_ms, "");
}

// kConflict when another run holds the instance.
Result<void> check_lease(Database& database, const RunKeyRow& key, const InstanceName& instance) {
    Query holder =
        database.query("SELECT run_no, run FROM run WHERE instance = ? AND holds_lease = 1", instance);
    if (!holder.next() || holder.integer(0) == key.run_no) return {};
    return fail(ErrorCode::kConflict, "the instance is leased by run " + holder.text(1),
                "instance " + instance.value);
}

// A retry that is known already is left as it was recorded: saves repeat what they say.
void insert_failed_try(Database& database, std::int64_t run_no, const RunChange& change) {
    if (!change.failed) return;
    database.execute(
        "INSERT INTO failed_try (run_no, number, attempt, instance, reason, message, over_ms) "
        "SELECT run_no, ?2, ?3, ?4, ?5, ?6, ?7 FROM run WHERE run_no = ?1 AND retries < ?2",
        run_no, change.retries, change.failed->attempt.value, change.failed->instance,
        to_string(change.failed->reason), change.failed->message, change.at_ms);
}

}  // namespace

Result<RunKeyRow> find_run_key(Database& database, const RunId& run) {
    Query found = database.query("SELECT run_no, attempt, state = 'DONE' FROM run WHERE run = ?", run);
    if (!found.next()) return fail(ErrorCode::kNotFound, "no such run", "run " + run.value);
    return RunKeyRow{found.integer(0), static_cast<int>(found.integer(1)), found.flag(2)};
}

std::uint64_t bump_version(Database& database, std::int64_t run_no) {
    Query bumped =
        database.query("UPDATE run SET version = version + 1 WHERE run_no = ? RETURNING version", run_no);
    bumped.next();
    const std::uint64_t version = bumped.size(0);
    bumped.next();  // to its end: an unfinished statement would keep the transaction open
    return version;
}

std::uint64_t record_change(Database& database, std::int64_t run_no, std::string_view what,
                            std::int64_t at_ms, std::string_view message) {
    const std::uint64_t version = bump_version(database, run_no);
    database.execute(
        "INSERT INTO run_change (run_no, version, at_ms, what, state, reason, attempt, message) "
        "SELECT run_no, version, ?, ?, state, reason, attempt, ? FROM run WHERE run_no = ?",
        at_ms, what, message, run_no);
    return version;
}

Result<void> check_current(const RunKeyRow& key, const RunId& run, int attempt) {
    const std::string where = "run " + run.value + " attempt " + std::to_string(attempt);
    if (key.done) return fail(ErrorCode::kConflict, "the run is DONE", where);
    if (key.attempt == attempt) return {};
    return fail(ErrorCode::kConflict, "stale: the latest attempt is " + std::to_string(key.attempt), where);
}

Result<Submitted> Store::submit(const NewRun& run) {
    Database& database = impl_->database;
    return in_transaction(database, "submit " + run.run.value, [&]() -> Result<Submitted> {
        const Sha256 body = body_hash(run);
        Result<std::optional<Submitted>> earlier = find_by_key(database, run, body);
        if (!earlier) return earlier.error();
        if (*earlier) return **earlier;
        if (find_run_key(database, run.run))
            return fail(ErrorCode::kConflict, "the run id is taken", "run " + run.run.value);
        insert_run(database, run, body);
        return Submitted{run.run, false};
    });
}

Result<std::uint64_t> Store::set_run_state(const RunId& run, const RunChange& change) {
    Database& database = impl_->database;
    return in_transaction(database, "run " + run.value, [&]() -> Result<std::uint64_t> {
        Result<RunKeyRow> key = find_run_key(database, run);
        if (!key) return key.error();
        if (key->done) return fail(ErrorCode::kConflict, "the run is DONE", "run " + run.value);
        if (change.state == RunState::kDone)
            return fail(ErrorCode::kConflict, "only a published result makes a run DONE", "run " + run.value);
        if (change.lease) {
            if (Result<void> free = check_lease(database, *key, *change.lease); !free) return free.error();
            database.execute("UPDATE run SET instance = ?, holds_lease = 1 WHERE run_no = ?", *change.lease,
                             key->run_no);
        }
        insert_failed_try(database, key->run_no, change);
        database.execute(
            "UPDATE run SET state = ?1, reason = ?2, message = ?3, holds_lease = holds_lease AND ?1 <> "
            "'QUEUED', attempts_over = max(attempts_over, ?5), retries = max(retries, ?6) WHERE run_no = ?4",
            to_string(change.state), to_string(change.reason), change.message, key->run_no,
            change.attempts_over.value, change.retries);
        return record_change(database, key->run_no, "state", change.at_ms, change.message);
    });
}

Result<std::uint64_t> Store::request_cancel(const RunId& run, std::int64_t at_ms) {
    Database& database = impl_->database;
    return in_transaction(database, "run " + run.value, [&]() -> Result<std::uint64_t> {
        Result<RunKeyRow> key = find_run_key(database, run);
        if (!key) return key.error();
        if (key->done) return fail(ErrorCode::kConflict, "the run is DONE", "run " + run.value);
        const int changed = database.execute(
            "UPDATE run SET cancel_requested = 1 WHERE run_no = ? AND cancel_requested = 0", key->run_no);
        if (changed > 0) return record_change(database, key->run_no, "cancel_requested", at_ms, "");
        Query version = database.query("SELECT version FROM run WHERE run_no = ?", key->run_no);
        version.next();
        return version.size(0);
    });
}

}  // namespace nsa::store
