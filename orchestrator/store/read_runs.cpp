// Runs as they are, for the daemon's start, the API and the reports.
#include "store/impl.hpp"

namespace nsa::store {

namespace {

using language::Reason;
using language::RunState;
using language::Status;
using language::Verdict;

#define NSA_RUN_COLUMNS                                                                                  \
    "r.run, r.name, r.subject, r.spec_hash, r.thresholds_hash, r.state, r.reason, r.message, r.status, " \
    "r.requested_instance, r.instance, r.holds_lease, r.cancel_requested, r.created_ms, r.started_ms, "  \
    "r.finished_ms, r.version, r.artifact_dir, coalesce(p.markdown_path, ''), "                          \
    "r.attempts_over, r.retries, r.artifacts_verified, " NSA_ATTEMPT_COLUMNS                             \
    " FROM run r LEFT JOIN report p ON p.run_no = r.run_no "                                             \
    "LEFT JOIN attempt a ON a.run_no = r.run_no AND a.attempt = r.attempt "
constexpr int kAttemptColumn = 22;

#define NSA_CASE_COLUMNS                                                                 \
    "c.key, c.step, c.kind, c.title, coalesce(o.state, 'waiting'), v.verdict, "          \
    "coalesce(v.reason, ''), coalesce(o.seconds, 0), coalesce(o.stdout_bytes, 0), "      \
    "coalesce(o.stderr_bytes, 0) FROM run r JOIN planned_case c ON c.run_no = r.run_no " \
    "LEFT JOIN case_outcome o ON o.case_no = c.case_no AND o.attempt = r.attempt "       \
    "LEFT JOIN case_verdict v ON v.case_no = c.case_no "

Result<void> read_axes(Query& found, RunRow& row) {
    const Result<RunState> state = enum_of<RunState>(found.text(5), "run.state");
    if (!state) return state.error();
    const Result<Reason> reason = enum_of<Reason>(found.text(6), "run.reason");
    if (!reason) return reason.error();
    row.state = *state;
    row.reason = *reason;
    if (found.is_null(8)) return {};
    const Result<Status> status = enum_of<Status>(found.text(8), "run.status");
    if (!status) return status.error();
    row.status = *status;
    return {};
}

Result<RunRow> read_run(Query& found) {
    RunRow row;
    row.run = RunId{found.text(0)};
    row.name = found.text(1);
    row.subject = found.text(2);
    row.spec_hash = Sha256{found.text(3)};
    row.thresholds_hash = Sha256{found.text(4)};
    if (Result<void> axes = read_axes(found, row); !axes) return axes.error();
    row.message = found.text(7);
    row.requested_instance = InstanceName{found.text(9)};
    row.instance = InstanceName{found.text(10)};
    row.holds_lease = found.flag(11);
    row.cancel_requested = found.flag(12);
    row.created_ms = found.integer(13);
    row.started_ms = found.integer(14);
    row.finished_ms = found.integer(15);
    row.version = found.size(16);
    row.artifact_dir = found.text(17);
    row.report_path = found.text(18);
    row.attempts_over = attempt_of(found.integer(19));
    row.retries = static_cast<int>(found.integer(20));
    if (!found.is_null(21)) row.artifacts_verified = found.flag(21);
    if (found.is_null(kAttemptColumn)) return row;
    Result<AttemptRow> attempt = read_attempt(found, kAttemptColumn);
    if (!attempt) return attempt.error();
    row.attempt = std::move(*attempt);
    return row;
}

Result<CaseState> case_state_of(std::string_view text) {
    for (CaseState state :
         {CaseState::kWaiting, CaseState::kRunning, CaseState::kFinished, CaseState::kBlocked}) {
        if (to_string(state) == text) return state;
    }
    return fail(ErrorCode::kCorrupt, "unknown case state '" + std::string(text) + "'", "database");
}

Result<CaseRow> read_case(Query& found) {
    CaseRow row;
    row.key = CaseKey{found.text(0)};
    row.step = found.text(1);
    row.kind = found.text(2);
    row.title = found.text(3);
    const Result<CaseState> state = case_state_of(found.text(4));
    if (!state) return state.error();
    row.state = *state;
    if (!found.is_null(5)) {
        const Result<Verdict> verdict = enum_of<Verdict>(found.text(5), "case_verdict.verdict");
        if (!verdict) return verdict.error();
        row.verdict = *verdict;
    }
    row.reason = found.text(6);
    row.seconds = found.real(7);
    row.stdout_bytes = found.size(8);
    row.stderr_bytes = found.size(9);
    return row;
}

Result<ChangeRow> read_change(Query& found) {
    const Result<RunState> state = enum_of<RunState>(found.text(3), "run_change.state");
    if (!state) return state.error();
    const Result<Reason> reason = enum_of<Reason>(found.text(4), "run_change.reason");
    if (!reason) return reason.error();
    return ChangeRow{found.size(0), found.integer(1), found.text(2),
                     *state,        *reason,          static_cast<int>(found.integer(5)),
                     found.text(6)};
}

}  // namespace

Result<std::vector<RunRow>> Store::load_active_runs() {
    Database& database = impl_->database;
    return read_only(database, "load active runs", [&]() -> Result<std::vector<RunRow>> {
        return rows_of(database.query("SELECT " NSA_RUN_COLUMNS "WHERE r.state <> 'DONE' ORDER BY r.run_no"),
                       read_run);
    });
}

Result<std::vector<std::string>> Store::load_active_outlines() {
    Database& database = impl_->database;
    return read_only(database, "load active runs", [&]() -> Result<std::vector<std::string>> {
        return rows_of(database.query("SELECT coalesce(o.plan_json, '') FROM run r LEFT JOIN run_outline o "
                                      "ON o.run_no = r.run_no WHERE r.state <> 'DONE' ORDER BY r.run_no"),
                       [](Query& found) { return Result<std::string>(found.text(0)); });
    });
}

Result<std::vector<RunRow>> Store::list_runs(int limit) {
    Database& database = impl_->database;
    return read_only(database, "list runs", [&]() -> Result<std::vector<RunRow>> {
        return rows_of(database.query("SELECT " NSA_RUN_COLUMNS "ORDER BY r.run_no DESC LIMIT ?", limit),
                       read_run);
    });
}

Result<RunRow> Store::find_run(const RunId& run) {
    Database& database = impl_->database;
    return read_only(database, "run " + run.value, [&]() -> Result<RunRow> {
        Result<std::vector<RunRow>> found =
            rows_of(database.query("SELECT " NSA_RUN_COLUMNS "WHERE r.run = ?", run), read_run);
        if (!found) return found.error();
        if (found->empty()) return fail(ErrorCode::kNotFound, "no such run", "run " + run.value);
        Result<std::vector<CaseRow>> cases = rows_of(
            database.query("SELECT " NSA_CASE_COLUMNS "WHERE r.run = ? ORDER BY c.ordinal", run), read_case);
        if (!cases) return cases.error();
        found->front().cases = std::move(*cases);
        return std::move(found->front());
    });
}

Result<RunDocuments> Store::documents(const RunId& run) {
    Database& database = impl_->database;
    return read_only(database, "run " + run.value, [&]() -> Result<RunDocuments> {
        Query found = database.query(
            "SELECT d.spec_file, d.spec_yaml, d.plan_json FROM run r JOIN run_document d ON d.run_no = "
            "r.run_no "
            "WHERE r.run = ?",
            run);
        if (!found.next()) return fail(ErrorCode::kNotFound, "no such run", "run " + run.value);
        return RunDocuments{found.text(0), found.text(1), found.text(2)};
    });
}

Result<std::vector<ChangeRow>> Store::history(const RunId& run) {
    return rows_of_run(
        impl_->database, run,
        "SELECT version, at_ms, what, state, reason, attempt, message FROM run_change WHERE run_no = ? "
        "ORDER BY version",
        read_change);
}

}  // namespace nsa::store
