#include "store/projection.hpp"

#include "store/impl.hpp"

namespace nsa::store {

namespace {

namespace lang = nsa::language;

// Room for the records of one event within an ordinal; the journal promises at most 256.
constexpr std::uint64_t kRecordsPerEvent = 4096;

std::string where(const lang::Event& event) {
    return "journal event " + std::to_string(event.seq);
}

class Projector {
  public:
    Projector(Database& database, JournalPlace place, const lang::Event& event)
        : database_(database), place_(place), event_(event) {}

    Result<void> operator()(const lang::RunStarted& started) {
        database_.execute(
            "UPDATE attempt SET state = iif(state = 'launching', 'launched', state), pid = ?, start_ticks = "
            "?, "
            "boot_id = ? WHERE run_no = ? AND attempt = ?",
            started.pid, started.start_ticks, started.boot_id, place_.run_no, place_.attempt);
        // Without a host fact of its own a report could not say where a run was that was never probed.
        return keep_facts({{"hostname", started.host}, {"worker_version", started.worker_version}});
    }

    Result<void> operator()(const lang::HostProbed& probed) { return keep_facts(probed.facts); }

    Result<void> operator()(const lang::SetupFinished& setup) {
        const lang::ProcessEnd& end = setup.end;
        database_.execute(
            "INSERT OR REPLACE INTO setup_result (run_no, attempt, ordinal, end_kind, exit_code, signal, "
            "core_dumped, end_detail, seconds, title) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            place_.run_no, place_.attempt, setup.index, to_string(end.kind), end.exit_code, end.signal,
            end.core_dumped, end.detail, setup.seconds, setup.title);
        return {};
    }

    Result<void> operator()(const lang::CaseStarted& started) {
        Result<std::int64_t> case_no = find_case(started.key);
        if (!case_no) return case_no.error();
        database_.execute(
            "INSERT INTO case_outcome (case_no, attempt, state, argv, started_ms) VALUES (?, ?, 'running', "
            "?, ?) "
            "ON CONFLICT DO UPDATE SET argv = excluded.argv, started_ms = excluded.started_ms",
            *case_no, place_.attempt, json_of(started.argv), event_.wall_ms);
        return {};
    }

    Result<void> operator()(const lang::CaseRecords& chunk) {
        Result<std::int64_t> case_no = find_case(chunk.key);
        if (!case_no) return case_no.error();
        if (chunk.records.size() > kRecordsPerEvent || chunk.errors.size() > kRecordsPerEvent)
            return fail(ErrorCode::kProtocol, "more records than an event may carry", where(event_));
        std::uint64_t ordinal = event_.seq * kRecordsPerEvent;
        for (const std::string& error : chunk.errors)
            keep_remark(*case_no, "error", ordinal++, error);
        ordinal = event_.seq * kRecordsPerEvent;
        for (const lang::Record& record : chunk.records)
            keep_record(*case_no, ordinal++, record);
        return {};
    }

    Result<void> operator()(const lang::CaseFinished& finished) {
        Result<std::int64_t> case_no = find_case(finished.key);
        if (!case_no) return case_no.error();
        const lang::ProcessEnd& end = finished.end;
        database_.execute(
            "INSERT INTO case_outcome (case_no, attempt, state, finished_ms, end_kind, exit_code, signal, "
            "core_dumped, end_detail, seconds, stdout_bytes, stderr_bytes, max_rss_kib) "
            "VALUES (?, ?, 'finished', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "state = 'finished', finished_ms = excluded.finished_ms, end_kind = excluded.end_kind, "
            "exit_code = excluded.exit_code, signal = excluded.signal, core_dumped = excluded.core_dumped, "
            "end_detail = excluded.end_detail, seconds = excluded.seconds, stdout_bytes = "
            "excluded.stdout_bytes, "
            "stderr_bytes = excluded.stderr_bytes, max_rss_kib = excluded.max_rss_kib",
            *case_no, place_.attempt, event_.wall_ms, to_string(end.kind), end.exit_code, end.signal,
            end.core_dumped, end.detail, finished.seconds, finished.stdout_bytes, finished.stderr_bytes,
            finished.max_rss_kib);
        return {};
    }

    Result<void> operator()(const lang::CaseBlocked& blocked) {
        Result<std::int64_t> case_no = find_case(blocked.key);
        if (!case_no) return case_no.error();
        database_.execute(
            "INSERT INTO case_outcome (case_no, attempt, state, finished_ms, blocked_by) "
            "VALUES (?, ?, 'blocked', ?, ?) ON CONFLICT DO UPDATE SET state = 'blocked', "
            "blocked_by = excluded.blocked_by",
            *case_no, place_.attempt, event_.wall_ms, blocked.by);
        return {};
    }

    Result<void> operator()(const lang::RunFinished& finished) {
        database_.execute(
            "UPDATE attempt SET state = 'ended', end = ?, end_detail = ?, manifest = ?, manifest_files = ?, "
            "manifest_bytes = ? WHERE run_no = ? AND attempt = ?",
            to_string(finished.end), finished.detail, finished.manifest, finished.files, finished.bytes,
            place_.run_no, place_.attempt);
        return {};
    }

  private:
    Result<std::int64_t> find_case(const CaseKey& key) {
        Query found = database_.query("SELECT case_no FROM planned_case WHERE run_no = ? AND key = ?",
                                      place_.run_no, key);
        if (found.next()) return found.integer(0);
        return fail(ErrorCode::kProtocol, "case '" + key.value + "' is not in the run's plan", where(event_));
    }

    Result<void> keep_facts(const std::map<std::string, std::string>& facts) {
        for (const auto& [name, value] : facts) {
            database_.execute(
                "INSERT OR REPLACE INTO host_fact (run_no, attempt, name, value) VALUES (?, ?, ?, ?)",
                place_.run_no, place_.attempt, name, value);
        }
        return {};
    }

    void keep_record(std::int64_t case_no, std::uint64_t ordinal, const lang::Record& record) {
        if (const auto* sample = std::get_if<lang::Measurement>(&record)) {
            // A NaN is bound as NULL by SQLite itself.
            database_.execute(
                "INSERT INTO measurement (case_no, attempt, metric_no, label_no, ordinal, sample, value) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                case_no, place_.attempt, database_.metric_no(sample->metric, sample->unit),
                label_no(sample->labels), ordinal, sample->sample, sample->value);
        } else if (const auto* fact = std::get_if<lang::Fact>(&record)) {
            database_.execute(
                "INSERT INTO fact (case_no, attempt, ordinal, name, value, label_no) VALUES (?, ?, ?, ?, ?, "
                "?)",
                case_no, place_.attempt, ordinal, fact->name, fact->value, label_no(fact->labels));
        } else {
            keep_remark(case_no, "skip", ordinal, std::get<lang::Skip>(record).reason);
        }
    }

    // Records of one row come together: the last label set is nearly always the next one.
    std::int64_t label_no(const lang::Labels& labels) {
        if (last_label_no_ == 0 || labels != last_labels_) {
            last_labels_ = labels;
            last_label_no_ = database_.label_no(json_of(labels));
        }
        return last_label_no_;
    }

    void keep_remark(std::int64_t case_no, std::string_view kind, std::uint64_t ordinal,
                     const std::string& text) {
        database_.execute("INSERT INTO remark (case_no, attempt, kind, ordinal, text) VALUES (?, ?, ?, ?, ?)",
                          case_no, place_.attempt, kind, ordinal, text);
    }

    Database& database_;
    const JournalPlace place_;
    const lang::Event& event_;
    lang::Labels last_labels_;
    std::int64_t last_label_no_ = 0;
};

}  // namespace

Result<void> project(Database& database, JournalPlace place, const lang::Event& event,
                     std::string_view line) {
    const bool is_records = std::holds_alternative<lang::CaseRecords>(event.body);
    database.execute(
        "INSERT INTO journal_event (run_no, attempt, seq, wall_ms, kind, line) VALUES (?, ?, ?, ?, ?, ?)",
        place.run_no, place.attempt, event.seq, event.wall_ms, name_of(event.body),
        is_records ? std::string_view{} : line);
    return std::visit(Projector(database, place, event), event.body);
}

}  // namespace nsa::store
