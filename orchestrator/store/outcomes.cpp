// What happened to the cases of an attempt: the judge's input.
#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "store/impl.hpp"

namespace nsa::store {

namespace {

namespace lang = nsa::language;

Result<lang::ProcessEnd> read_end(Query& found, int column) {
    const Result<lang::EndKind> kind = enum_of<lang::EndKind>(found.text(column), "end_kind");
    if (!kind) return kind.error();
    return lang::ProcessEnd{*kind, static_cast<int>(found.integer(column + 1)),
                            static_cast<int>(found.integer(column + 2)), found.flag(column + 3),
                            found.text(column + 4)};
}

Result<StoredOutcome> read_outcome(Query& found) {
    StoredOutcome stored;
    stored.key = CaseKey{found.text(1)};
    if (found.is_null(2)) return stored;  // waiting
    Result<std::vector<std::string>> argv = text_list_of(found.text(2));
    if (!argv) return argv.error();
    stored.argv = std::move(*argv);
    stored.started_ms = found.integer(3);
    stored.finished_ms = found.integer(4);
    if (!found.is_null(5)) {
        Result<lang::ProcessEnd> end = read_end(found, 5);
        if (!end) return end.error();
        stored.outcome.end = std::move(*end);
    }
    stored.seconds = found.real(10);
    stored.stdout_bytes = found.size(11);
    stored.stderr_bytes = found.size(12);
    stored.max_rss_kib = found.integer(13);
    if (std::string blocker = found.text(14); !blocker.empty())
        stored.outcome.blocked_by = CaseKey{std::move(blocker)};
    return stored;
}

// Puts the records of one attempt into its cases, in the order in which they were written.
class RecordReader {
  public:
    RecordReader(Database& database, std::int64_t run_no, int attempt, std::vector<StoredOutcome>& cases,
                 std::unordered_map<std::int64_t, std::size_t> places)
        : database_(database),
          run_no_(run_no),
          attempt_(attempt),
          cases_(cases),
          places_(std::move(places)) {}

    Result<void> read() {
        for (auto part : {&RecordReader::read_measurements, &RecordReader::read_facts}) {
            if (Result<void> read = (this->*part)(); !read) return read;
        }
        read_remarks();
        for (std::size_t place = 0; place < cases_.size(); ++place)
            put_in_order(place);
        return {};
    }

  private:
    struct Placed {
        std::int64_t ordinal = 0;
        lang::Record record;
    };

    Result<void> read_measurements() {
        Query found = database_.query(
            "SELECT s.case_no, s.ordinal, m.name, s.value, m.unit, s.label_no, s.sample FROM planned_case c "
            "JOIN measurement s ON s.case_no = c.case_no AND s.attempt = ?2 "
            "JOIN metric m ON m.metric_no = s.metric_no WHERE c.run_no = ?1",
            run_no_, attempt_);
        while (found.next()) {
            Result<const lang::Labels*> labels = labels_of(found.integer(5));
            if (!labels) return labels.error();
            lang::Measurement sample{found.text(2), found.is_null(3) ? std::nan("") : found.real(3),
                                     found.text(4), **labels, static_cast<int>(found.integer(6))};
            add(found.integer(0), found.integer(1), std::move(sample));
        }
        return {};
    }

    Result<void> read_facts() {
        Query found = database_.query(
            "SELECT f.case_no, f.ordinal, f.name, f.value, f.label_no FROM planned_case c "
            "JOIN fact f ON f.case_no = c.case_no AND f.attempt = ?2 WHERE c.run_no = ?1",
            run_no_, attempt_);
        while (found.next()) {
            Result<const lang::Labels*> labels = labels_of(found.integer(4));
            if (!labels) return labels.error();
            add(found.integer(0), found.integer(1), lang::Fact{found.text(2), found.text(3), **labels});
        }
        return {};
    }

    void read_remarks() {
        Query found = database_.query(
            "SELECT k.case_no, k.ordinal, k.kind, k.text FROM planned_case c "
            "JOIN remark k ON k.case_no = c.case_no AND k.attempt = ?2 WHERE c.run_no = ?1 "
            "ORDER BY k.case_no, k.kind, k.ordinal",
            run_no_, attempt_);
        while (found.next()) {
            if (found.text(2) == "skip") {
                add(found.integer(0), found.integer(1), lang::Skip{found.text(3)});
            } else {
                cases_[places_.at(found.integer(0))].outcome.record_errors.push_back(found.text(3));
            }
        }
    }

    void add(std::int64_t case_no, std::int64_t ordinal, lang::Record record) {
        placed_[places_.at(case_no)].push_back({ordinal, std::move(record)});
    }

    void put_in_order(std::size_t place) {
        std::vector<Placed>& records = placed_[place];
        std::sort(records.begin(), records.end(),
                  [](const Placed& a, const Placed& b) { return a.ordinal < b.ordinal; });
        cases_[place].outcome.records.reserve(records.size());
        for (Placed& placed : records)
            cases_[place].outcome.records.push_back(std::move(placed.record));
    }

    Result<const lang::Labels*> labels_of(std::int64_t label_no) {
        const auto [known, fresh] = labels_.try_emplace(label_no);
        if (fresh) {
            Query found = database_.query("SELECT labels FROM label_set WHERE label_no = ?", label_no);
            found.next();
            Result<lang::Labels> parsed = text_map_of(found.text(0));
            if (!parsed) return parsed.error();
            known->second = std::move(*parsed);
        }
        return &known->second;
    }

    Database& database_;
    const std::int64_t run_no_;
    const int attempt_;
    std::vector<StoredOutcome>& cases_;
    const std::unordered_map<std::int64_t, std::size_t> places_;  // case_no -> index in cases_
    std::unordered_map<std::size_t, std::vector<Placed>> placed_;
    std::unordered_map<std::int64_t, lang::Labels> labels_;
};

}  // namespace

Result<std::vector<StoredOutcome>> Store::outcomes(const RunId& run, Attempt attempt) {
    Database& database = impl_->database;
    return read_only(database, "run " + run.value, [&]() -> Result<std::vector<StoredOutcome>> {
        Result<RunKeyRow> key = find_run_key(database, run);
        if (!key) return key.error();
        std::vector<StoredOutcome> cases;
        std::unordered_map<std::int64_t, std::size_t> places;
        {
            Query found = database.query(
                "SELECT c.case_no, c.key, o.argv, o.started_ms, o.finished_ms, o.end_kind, o.exit_code, "
                "o.signal, o.core_dumped, o.end_detail, o.seconds, o.stdout_bytes, o.stderr_bytes, "
                "o.max_rss_kib, o.blocked_by FROM planned_case c LEFT JOIN case_outcome o "
                "ON o.case_no = c.case_no AND o.attempt = ? WHERE c.run_no = ? ORDER BY c.ordinal",
                attempt.value, key->run_no);
            while (found.next()) {
                Result<StoredOutcome> stored = read_outcome(found);
                if (!stored) return stored.error();
                places.emplace(found.integer(0), cases.size());
                cases.push_back(std::move(*stored));
            }
        }
        RecordReader reader(database, key->run_no, attempt.value, cases, std::move(places));
        if (Result<void> read = reader.read(); !read) return read.error();
        return cases;
    });
}

Result<std::map<std::string, std::string>> Store::host_facts(const RunId& run, Attempt attempt) {
    Database& database = impl_->database;
    return read_only(database, "run " + run.value, [&]() -> Result<std::map<std::string, std::string>> {
        Result<RunKeyRow> key = find_run_key(database, run);
        if (!key) return key.error();
        Query found = database.query("SELECT name, value FROM host_fact WHERE run_no = ? AND attempt = ?",
                                     key->run_no, attempt.value);
        std::map<std::string, std::string> facts;
        while (found.next())
            facts.emplace(found.text(0), found.text(1));
        return facts;
    });
}

Result<std::vector<SetupRow>> Store::setup_results(const RunId& run, Attempt attempt) {
    return rows_of_run(
        impl_->database, run,
        "SELECT ordinal, end_kind, exit_code, signal, core_dumped, end_detail, seconds, title "
        "FROM setup_result WHERE run_no = ? AND attempt = ? ORDER BY ordinal",
        [](Query& found) -> Result<SetupRow> {
            Result<lang::ProcessEnd> end = read_end(found, 1);
            if (!end) return end.error();
            return SetupRow{static_cast<int>(found.integer(0)), std::move(*end), found.real(6),
                            found.text(7)};
        },
        attempt.value);
}

}  // namespace nsa::store
