// Replication of the worker's journal: idempotent by (run, attempt, seq), without gaps.
#include "store/impl.hpp"
#include "store/projection.hpp"

namespace nsa::store {

namespace {

std::uint64_t last_seq_of(Database& database, JournalPlace place) {
    Query found = database.query("SELECT last_seq FROM attempt WHERE run_no = ? AND attempt = ?",
                                 place.run_no, place.attempt);
    found.next();
    return found.size(0);
}

// Parses `lines` and keeps those after `appended.last_seq`.
Result<void> append_lines(Database& database, JournalPlace place, std::string_view lines,
                          Appended& appended) {
    while (!lines.empty()) {
        const std::size_t end = lines.find('\n');
        if (end == std::string_view::npos)
            return fail(ErrorCode::kProtocol, "the last journal line has no end", "append_events");
        const std::string_view line = lines.substr(0, end);
        lines.remove_prefix(end + 1);
        Result<language::Event> event = language::event_from_line(line);
        if (!event) return fail(ErrorCode::kProtocol, event.error().describe(), "append_events");
        if (event->seq <= appended.last_seq) continue;
        if (event->seq != appended.last_seq + 1) {
            return fail(ErrorCode::kProtocol,
                        "the journal jumps from event " + std::to_string(appended.last_seq) + " to " +
                            std::to_string(event->seq) +
                            "; attach again from the event after the last one kept",
                        "append_events");
        }
        if (Result<void> kept = project(database, place, *event, line); !kept) return kept;
        appended.last_seq = event->seq;
        appended.fresh.push_back(std::move(*event));
    }
    return {};
}

}  // namespace

Result<Appended> Store::append_events(const RunId& run, Attempt attempt, std::string_view lines) {
    Database& database = impl_->database;
    return in_transaction(database, "run " + run.value, [&]() -> Result<Appended> {
        Result<RunKeyRow> key = find_run_key(database, run);
        if (!key) return key.error();
        if (Result<void> current = check_current(*key, run, attempt.value); !current) return current.error();
        const JournalPlace place{key->run_no, attempt.value};
        Appended appended;
        appended.last_seq = last_seq_of(database, place);
        if (Result<void> kept = append_lines(database, place, lines, appended); !kept) return kept.error();
        if (!appended.fresh.empty()) {
            database.execute("UPDATE attempt SET last_seq = ? WHERE run_no = ? AND attempt = ?",
                             appended.last_seq, place.run_no, place.attempt);
            appended.version = bump_version(database, place.run_no);
        } else {
            Query version = database.query("SELECT version FROM run WHERE run_no = ?", place.run_no);
            version.next();
            appended.version = version.size(0);
        }
        return appended;
    });
}

}  // namespace nsa::store
