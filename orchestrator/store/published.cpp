// Published results, read back.
#include <cmath>

#include "store/impl.hpp"

namespace nsa::store {

namespace {

using language::CheckResult;

Result<CheckResult> read_check(Query& found) {
    CheckResult check;
    check.check = found.text(0);
    const Result<language::Level> level = enum_of<language::Level>(found.text(1), "check_result.level");
    if (!level) return level.error();
    check.level = *level;
    Result<language::Labels> row = text_map_of(found.text(2));
    if (!row) return row.error();
    check.row = std::move(*row);
    const Result<language::Verdict> verdict =
        enum_of<language::Verdict>(found.text(3), "check_result.verdict");
    if (!verdict) return verdict.error();
    check.verdict = *verdict;
    if (found.flag(5)) {
        check.measured = std::nan("");
    } else if (!found.is_null(4)) {
        check.measured = found.real(4);
    }
    if (!found.is_null(6)) check.limit = found.real(6);
    check.unit = found.text(7);
    check.samples = static_cast<int>(found.integer(8));
    check.samples_expected = static_cast<int>(found.integer(9));
    check.detail = found.text(10);
    return check;
}

Result<std::vector<CheckResult>> read_checks(Database& database, std::int64_t case_no) {
    return rows_of(
        database.query("SELECT k.check_id, k.level, l.labels, k.verdict, k.measured, k.measured_is_nan, "
                       "k.limit_value, k.unit, k.samples, k.samples_expected, k.detail FROM check_result k "
                       "JOIN label_set l ON l.label_no = k.label_no WHERE k.case_no = ? ORDER BY k.ordinal",
                       case_no),
        read_check);
}

Result<PublishedCase> read_judgement(Database& database, Query& found) {
    const Result<language::Verdict> verdict =
        enum_of<language::Verdict>(found.text(2), "case_verdict.verdict");
    if (!verdict) return verdict.error();
    Result<std::vector<CheckResult>> checks = read_checks(database, found.integer(0));
    if (!checks) return checks.error();
    return PublishedCase{CaseKey{found.text(1)},
                         {*verdict, found.text(3), found.flag(4), found.flag(5), std::move(*checks)}};
}

}  // namespace

Result<std::vector<PublishedCase>> Store::judgements(const RunId& run) {
    Database& database = impl_->database;
    return rows_of_run(database, run,
                       "SELECT c.case_no, c.key, v.verdict, v.reason, v.short_of_asked, v.infrastructure "
                       "FROM planned_case c JOIN case_verdict v ON v.case_no = c.case_no WHERE c.run_no = ? "
                       "ORDER BY c.ordinal",
                       [&](Query& found) { return read_judgement(database, found); });
}

Result<std::vector<ArtifactRow>> Store::artifacts(const RunId& run) {
    return rows_of_run(impl_->database, run,
                       "SELECT path, size, sha256 FROM artifact WHERE run_no = ? ORDER BY path",
                       [](Query& found) -> Result<ArtifactRow> {
                           return ArtifactRow{found.text(0), found.size(1), Sha256{found.text(2)}};
                       });
}

}  // namespace nsa::store
