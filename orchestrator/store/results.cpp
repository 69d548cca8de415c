// Publication: the one transaction that ends a run.
#include <cmath>

#include "language/failpoint.hpp"
#include "store/impl.hpp"

namespace nsa::store {

namespace {

void insert_artifacts(Database& database, std::int64_t run_no, const std::vector<ArtifactRow>& artifacts) {
    for (const ArtifactRow& artifact : artifacts) {
        database.execute("INSERT INTO artifact (run_no, path, size, sha256) VALUES (?, ?, ?, ?)", run_no,
                         artifact.path, artifact.size, artifact.sha256);
    }
}

void insert_check(Database& database, std::int64_t case_no, std::size_t ordinal,
                  const language::CheckResult& check) {
    const bool is_nan = check.measured && std::isnan(*check.measured);
    database.execute(
        "INSERT INTO check_result (case_no, ordinal, check_id, level, label_no, verdict, measured, "
        "measured_is_nan, limit_value, unit, samples, samples_expected, detail) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        case_no, ordinal, check.check, to_string(check.level), database.label_no(json_of(check.row)),
        to_string(check.verdict), check.measured, is_nan, check.limit, check.unit, check.samples,
        check.samples_expected, check.detail);
}

// Inserts the verdicts; kConflict unless they speak of every case of the run, once each.
Result<void> insert_cases(Database& database, std::int64_t run_no, const std::vector<PublishedCase>& cases) {
    for (const PublishedCase& published : cases) {
        const language::CaseJudgement& judgement = published.judgement;
        const int inserted = database.execute(
            "INSERT INTO case_verdict (case_no, verdict, reason, short_of_asked, infrastructure) "
            "SELECT case_no, ?, ?, ?, ? FROM planned_case WHERE run_no = ? AND key = ? "
            "ON CONFLICT DO NOTHING",
            to_string(judgement.verdict), judgement.reason, judgement.short_of_asked,
            judgement.infrastructure, run_no, published.key);
        if (inserted != 1) {
            return fail(ErrorCode::kConflict, "the result names a case twice, or one that the plan lacks",
                        "case " + published.key.value);
        }
        const std::int64_t case_no = database.last_insert_no();
        for (std::size_t ordinal = 0; ordinal < judgement.checks.size(); ++ordinal)
            insert_check(database, case_no, ordinal, judgement.checks[ordinal]);
    }
    Query planned = database.query("SELECT count(*) FROM planned_case WHERE run_no = ?", run_no);
    planned.next();
    if (planned.size(0) == cases.size()) return {};
    return fail(ErrorCode::kConflict,
                "the result has " + std::to_string(cases.size()) + " verdicts for " +
                    std::to_string(planned.size(0)) + " cases",
                "publish_result");
}

}  // namespace

Result<std::uint64_t> Store::publish_result(const RunId& run, const Publication& publication) {
    Database& database = impl_->database;
    return in_transaction(database, "publish run " + run.value, [&]() -> Result<std::uint64_t> {
        Result<RunKeyRow> key = find_run_key(database, run);
        if (!key) return key.error();
        if (key->done)
            return fail(ErrorCode::kConflict, "the result was published already", "run " + run.value);
        if (Result<void> current = check_current(*key, run, publication.attempt); !current)
            return current.error();
        insert_artifacts(database, key->run_no, publication.artifacts);
        if (Result<void> judged = insert_cases(database, key->run_no, publication.cases); !judged)
            return judged.error();
        database.execute("UPDATE attempt SET state = 'ended' WHERE run_no = ? AND attempt = ?", key->run_no,
                         publication.attempt);
        database.execute(
            "UPDATE run SET state = 'DONE', status = ?, reason = ?, message = ?, artifact_dir = ?, "
            "artifacts_verified = ?, finished_ms = ?, holds_lease = 0 WHERE run_no = ?",
            to_string(publication.status), to_string(publication.reason), publication.message,
            publication.artifact_dir, publication.artifacts_verified, publication.at_ms, key->run_no);
        const std::uint64_t version = record_change(database, key->run_no, "published", publication.at_ms,
                                                    to_string(publication.status));
        failpoint("daemon.publish.before_commit");
        return version;
    });
}

}  // namespace nsa::store
