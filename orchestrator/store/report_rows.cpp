// Names and files of rendered reports.
#include "store/impl.hpp"

namespace nsa::store {

namespace {

std::optional<ReportRow> read_report(Database& database, const RunId& run) {
    Query found = database.query(
        "SELECT p.date, p.subject, p.version, p.markdown_path, p.html_path, p.json_path, p.markdown_sha256, "
        "p.html_sha256, p.json_sha256, p.recorded_ms FROM run r JOIN report p ON p.run_no = r.run_no "
        "WHERE r.run = ?",
        run);
    if (!found.next()) return std::nullopt;
    return ReportRow{run,
                     found.text(0),
                     found.text(1),
                     static_cast<int>(found.integer(2)),
                     found.text(3),
                     found.text(4),
                     found.text(5),
                     Sha256{found.text(6)},
                     Sha256{found.text(7)},
                     Sha256{found.text(8)},
                     found.integer(9)};
}

}  // namespace

Result<ReportRow> Store::reserve_report(const RunId& run, std::string_view date, std::string_view subject) {
    Database& database = impl_->database;
    return in_transaction(database, "report of run " + run.value, [&]() -> Result<ReportRow> {
        Result<RunKeyRow> key = find_run_key(database, run);
        if (!key) return key.error();
        if (!key->done) {
            return fail(ErrorCode::kConflict, "the run is not DONE: a report needs a terminal state",
                        "run " + run.value);
        }
        if (std::optional<ReportRow> reserved = read_report(database, run)) return *reserved;
        database.execute(
            "INSERT INTO report (run_no, date, subject, version) SELECT ?1, ?2, ?3, "
            "coalesce(max(version), 0) + 1 FROM report WHERE date = ?2 AND subject = ?3",
            key->run_no, date, subject);
        return *read_report(database, run);
    });
}

Result<void> Store::record_report(const ReportRow& report) {
    Database& database = impl_->database;
    return in_transaction(database, "report of run " + report.run.value, [&]() -> Result<void> {
        Result<RunKeyRow> key = find_run_key(database, report.run);
        if (!key) return key.error();
        const std::optional<ReportRow> reserved = read_report(database, report.run);
        if (!reserved || reserved->version != report.version) {
            return fail(ErrorCode::kConflict, "this report was never reserved", "run " + report.run.value);
        }
        ReportRow unchanged = report;
        unchanged.recorded_ms = reserved->recorded_ms;
        if (unchanged == *reserved) return {};  // rendered again, byte for byte the same
        database.execute(
            "UPDATE report SET markdown_path = ?, html_path = ?, json_path = ?, markdown_sha256 = ?, "
            "html_sha256 = ?, json_sha256 = ?, recorded_ms = ? WHERE run_no = ?",
            report.markdown_path, report.html_path, report.json_path, report.markdown_sha256,
            report.html_sha256, report.json_sha256, report.recorded_ms, key->run_no);
        record_change(database, key->run_no, "report", report.recorded_ms, report.markdown_path);
        return {};
    });
}

Result<ReportRow> Store::find_report(const RunId& run) {
    return read_only(impl_->database, "report of run " + run.value, [&]() -> Result<ReportRow> {
        if (std::optional<ReportRow> found = read_report(impl_->database, run)) return *found;
        return fail(ErrorCode::kNotFound, "the run has no report", "run " + run.value);
    });
}

Result<std::vector<RunId>> Store::runs_without_report() {
    return read_only(impl_->database, "runs without a report", [&]() -> Result<std::vector<RunId>> {
        return rows_of(impl_->database.query(
                           "SELECT r.run FROM run r LEFT JOIN report p ON p.run_no = r.run_no "
                           "WHERE r.state = 'DONE' AND coalesce(p.markdown_path, '') = '' ORDER BY r.run_no"),
                       [](Query& found) { return Result<RunId>(RunId{found.text(0)}); });
    });
}

}  // namespace nsa::store
