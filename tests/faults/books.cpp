#include "books.hpp"

#include <sqlite3.h>

#include <functional>
#include <memory>
#include <stdexcept>

namespace nsa::faults {

namespace fs = std::filesystem;

namespace {

class Reader {
  public:
    explicit Reader(const fs::path& file) {
        sqlite3* opened = nullptr;
        const int rc = ::sqlite3_open_v2(file.c_str(), &opened, SQLITE_OPEN_READWRITE, nullptr);
        database_.reset(opened);
        if (rc != SQLITE_OK) refuse("open");
    }

    using Row = std::function<void(sqlite3_stmt*)>;
    void each(const char* sql, const Row& row) {
        sqlite3_stmt* prepared = nullptr;
        if (::sqlite3_prepare_v2(database_.get(), sql, -1, &prepared, nullptr) != SQLITE_OK) refuse(sql);
        const std::unique_ptr<sqlite3_stmt, decltype(&::sqlite3_finalize)> statement{prepared,
                                                                                     ::sqlite3_finalize};
        int rc = ::sqlite3_step(prepared);
        for (; rc == SQLITE_ROW; rc = ::sqlite3_step(prepared))
            row(prepared);
        if (rc != SQLITE_DONE) refuse(sql);
    }

  private:
    [[noreturn]] void refuse(const std::string& what) const {
        throw std::runtime_error{std::string{"the database: "} + ::sqlite3_errmsg(database_.get()) + " (" +
                                 what + ")"};
    }
    std::unique_ptr<sqlite3, decltype(&::sqlite3_close)> database_{nullptr, ::sqlite3_close};
};

std::string text(sqlite3_stmt* row, int column) {
    const unsigned char* bytes = ::sqlite3_column_text(row, column);
    return bytes == nullptr ? std::string{} : reinterpret_cast<const char*>(bytes);
}
int number(sqlite3_stmt* row, int column) {
    return ::sqlite3_column_int(row, column);
}
std::uint64_t large(sqlite3_stmt* row, int column) {
    return static_cast<std::uint64_t>(::sqlite3_column_int64(row, column));
}

void read_damage(Reader& reader, Books& books) {
    reader.each("PRAGMA integrity_check", [&](sqlite3_stmt* row) {
        if (text(row, 0) != "ok") books.damage.push_back(text(row, 0));
    });
    reader.each("PRAGMA foreign_key_check",
                [&](sqlite3_stmt* row) { books.damage.push_back("foreign key of " + text(row, 0)); });
}

bool has_tables(Reader& reader) {
    bool found = false;
    reader.each("SELECT 1 FROM sqlite_master WHERE name = 'run'", [&](sqlite3_stmt*) { found = true; });
    return found;
}

void read_runs(Reader& reader, Books& books) {
    reader.each(
        "SELECT r.run, r.idempotency_key, r.state, r.reason, r.status, r.artifact_dir, r.attempt, "
        "r.holds_lease, "
        "r.instance, r.cancel_requested, "
        "(SELECT count(*) FROM run_change h WHERE h.run_no = r.run_no AND h.what = 'published'), "
        "(SELECT count(*) FROM planned_case c WHERE c.run_no = r.run_no), "
        "(SELECT count(*) FROM case_verdict v JOIN planned_case c ON c.case_no = v.case_no "
        " WHERE c.run_no = r.run_no) FROM run r",
        [&](sqlite3_stmt* row) {
            BookRun& run = books.runs[text(row, 0)];
            run.run = text(row, 0);
            run.key = text(row, 1);
            run.state = text(row, 2);
            run.reason = text(row, 3);
            run.status = text(row, 4);
            run.artifact_dir = text(row, 5);
            run.attempt = number(row, 6);
            run.holds_lease = number(row, 7) != 0;
            if (run.holds_lease) books.leases.push_back(text(row, 8));
            run.cancel_requested = number(row, 9) != 0;
            run.publications = number(row, 10);
            run.cases = number(row, 11);
            run.verdicts = number(row, 12);
        });
}

void read_results(Reader& reader, Books& books) {
    reader.each("SELECT r.run, a.path, a.size, a.sha256 FROM artifact a JOIN run r ON r.run_no = a.run_no",
                [&](sqlite3_stmt* row) {
                    books.runs[text(row, 0)].artifacts[text(row, 1)] = {large(row, 2), text(row, 3)};
                });
    reader.each(
        "SELECT r.run, p.markdown_path, p.markdown_sha256, p.html_path, p.html_sha256, p.json_path, "
        "p.json_sha256 "
        "FROM report p JOIN run r ON r.run_no = p.run_no WHERE p.recorded_ms > 0",
        [&](sqlite3_stmt* row) {
            for (const int column : {1, 3, 5})
                books.runs[text(row, 0)].reports.push_back({text(row, column), text(row, column + 1)});
        });
}

void read_attempts(Reader& reader, Books& books) {
    reader.each("SELECT r.run, a.attempt FROM attempt a JOIN run r ON r.run_no = a.run_no ORDER BY a.attempt",
                [&](sqlite3_stmt* row) { books.runs[text(row, 0)].attempts.push_back(number(row, 1)); });
    reader.each(
        "SELECT r.run, e.attempt, e.seq, e.line FROM journal_event e JOIN run r ON r.run_no = e.run_no",
        [&](sqlite3_stmt* row) {
            books.runs[text(row, 0)].journal[number(row, 1)][large(row, 2)] = text(row, 3);
        });
}

}  // namespace

Books read_books(const fs::path& state, const fs::path& scratch) {
    const fs::path copy = scratch / "books.db";
    for (const char* suffix : {"", "-wal", "-shm"})
        fs::remove(copy.string() + suffix);
    fs::copy_file(state / "nsa.db", copy);
    std::error_code none;  // no write-ahead log: it was folded in
    fs::copy_file(state / "nsa.db-wal", copy.string() + "-wal", none);
    Books books;
    Reader reader(copy);
    read_damage(reader, books);
    if (!has_tables(reader)) return books;  // a daemon that died before its first migration
    read_runs(reader, books);
    read_results(reader, books);
    read_attempts(reader, books);
    return books;
}

}  // namespace nsa::faults
