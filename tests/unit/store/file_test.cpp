// Opening the file: creation, migration, refusal, two programs, crash.
#include <SQLiteCpp/SQLiteCpp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "fixture.hpp"

namespace nsa::store {
namespace {

std::string bytes_of(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

TEST_F(StoreTest, A_new_file_gets_the_whole_schema_and_only_its_owner_may_read_it) {
    Store store = open();
    SQLite::Database plain(file().string());
    EXPECT_EQ(plain.execAndGet("SELECT max(version) FROM schema_migration").getInt(),
              Store::schema_version());
    EXPECT_EQ(plain.execAndGet("PRAGMA user_version").getInt(), Store::schema_version());
    struct stat info {};
    ASSERT_EQ(::stat(file().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST_F(StoreTest, Opening_again_migrates_nothing_and_keeps_the_rows) {
    { must(open().submit(a_run("r-1"))); }
    Store store = open();
    EXPECT_EQ(must(store.find_run(RunId{"r-1"})).name, "fa2_routing");
}

TEST_F(StoreTest, A_file_with_an_older_schema_is_brought_up_to_date) {
    { must(open().submit(a_run("r-1"))); }
    {
        SQLite::Database plain(file().string(), SQLite::OPEN_READWRITE);
        plain.exec(
            "DROP VIEW run_overview; DROP VIEW check_overview; DROP VIEW decode_median;"
            "DROP VIEW parity_median; DROP VIEW row_median; DROP VIEW sample;"
            "ALTER TABLE run DROP COLUMN attempts_over; ALTER TABLE run DROP COLUMN retries;"
            "ALTER TABLE setup_result DROP COLUMN title; DROP TABLE run_outline;"
            "ALTER TABLE run DROP COLUMN artifacts_verified; DROP TABLE failed_try;"
            "ALTER TABLE instance ADD COLUMN state TEXT NOT NULL DEFAULT '';"
            "ALTER TABLE instance ADD COLUMN message TEXT NOT NULL DEFAULT '';"
            "DELETE FROM schema_migration WHERE version > 1; PRAGMA user_version = 1");
    }
    std::ofstream(file().string() + ".schema-1") << "of an earlier way there and back";
    Store store = open();
    EXPECT_TRUE(store.find_run(RunId{"r-1"}).has_value());
    EXPECT_EQ(must(store.load_active_outlines()), std::vector<std::string>{""});
    SQLite::Database plain(file().string());
    EXPECT_EQ(plain.execAndGet("SELECT count(*) FROM run_overview").getInt(), 1);
    SQLite::Database before(file().string() + ".schema-1", SQLite::OPEN_READONLY);
    EXPECT_EQ(before.execAndGet("PRAGMA user_version").getInt(), 1) << "the way back";
    EXPECT_EQ(before.execAndGet("SELECT count(*) FROM run").getInt(), 1);
}

TEST_F(StoreTest, A_newer_schema_is_refused_and_the_file_stays_as_it_is) {
    { open(); }
    {
        SQLite::Database plain(file().string(), SQLite::OPEN_READWRITE);
        plain.exec("PRAGMA journal_mode = DELETE; PRAGMA user_version = 999");
    }
    const std::string before = bytes_of(file());
    Result<Store> opened = Store::open(file());
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code, ErrorCode::kConflict);
    EXPECT_NE(opened.error().text.find("schema 999"), std::string::npos) << opened.error().text;
    EXPECT_NE(opened.error().where.find("nsa.db"), std::string::npos);
    EXPECT_EQ(bytes_of(file()), before);
}

TEST_F(StoreTest, A_database_of_a_build_with_another_migration_text_is_refused) {
    { open(); }
    {
        SQLite::Database plain(file().string(), SQLite::OPEN_READWRITE);
        plain.exec("UPDATE schema_migration SET sha256 = 'other' WHERE version = 1");
    }
    Result<Store> opened = Store::open(file());
    ASSERT_FALSE(opened.has_value());
    EXPECT_NE(opened.error().text.find("0001_schema"), std::string::npos) << opened.error().text;
}

TEST_F(StoreTest, A_file_that_is_no_database_is_refused_and_kept) {
    std::ofstream(file()) << std::string(8192, 'x');
    Result<Store> opened = Store::open(file());
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(bytes_of(file()), std::string(8192, 'x'));
}

TEST_F(StoreTest, Another_programs_database_is_refused) {
    {
        SQLite::Database other(file().string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
        other.exec("CREATE TABLE songs (title TEXT)");
    }
    Result<Store> opened = Store::open(file());
    ASSERT_FALSE(opened.has_value());
    EXPECT_NE(opened.error().text.find("another program"), std::string::npos);
}

TEST_F(StoreTest, A_folder_that_does_not_exist_is_named) {
    Result<Store> opened = Store::open(dir_.path() / "absent" / "nsa.db");
    ASSERT_FALSE(opened.has_value());
    EXPECT_NE(opened.error().describe().find("absent/nsa.db"), std::string::npos);
}

// The process dies without closing anything right after the calls returned.
TEST_F(StoreTest, What_a_killed_process_was_told_is_there_afterwards) {
    const pid_t child = ::fork();
    if (child == 0) {
        Store store = open();
        launch(store, "r-1");
        const bool kept = store.append_events(RunId{"r-1"}, Attempt{1}, a_journal()).has_value();
        ::_exit(kept ? 0 : 1);  // no destructor, no checkpoint: the WAL stays behind
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
    ASSERT_TRUE(std::filesystem::exists(file().string() + "-wal"));
    Store store = open();
    const RunRow run = must(store.find_run(RunId{"r-1"}));
    EXPECT_EQ(run.attempt->last_seq, 8U);
    EXPECT_EQ(run.cases[1].state, CaseState::kBlocked);
}

TEST_F(StoreTest, A_second_store_on_the_file_sees_the_firsts_rows_and_cannot_win_twice) {
    Store first = open(), second = open();
    launch(first, "r-1");
    must(second.append_events(RunId{"r-1"}, Attempt{1}, a_journal()));
    must(first.publish_result(RunId{"r-1"}, a_publication(1)));
    Result<std::uint64_t> again = second.publish_result(RunId{"r-1"}, a_publication(1));
    ASSERT_FALSE(again.has_value());
    EXPECT_EQ(again.error().code, ErrorCode::kConflict);
    EXPECT_EQ(must(second.artifacts(RunId{"r-1"})).size(), 1U);
}

TEST_F(StoreTest, A_metric_first_named_in_a_refused_batch_can_be_used_afterwards) {
    Store store = open();
    launch(store, "r-1");
    using namespace language;
    const CaseRecords good{CaseKey{"parity"}, {Measurement{"fresh_metric", 1, "ms", {{"S", "1"}}, 0}}, {}};
    const std::string refused = line(1, good) + line(3, good);
    ASSERT_FALSE(store.append_events(RunId{"r-1"}, Attempt{1}, refused).has_value());
    must(store.append_events(RunId{"r-1"}, Attempt{1}, line(1, good)));
    EXPECT_EQ(must(store.outcomes(RunId{"r-1"}, Attempt{1}))[0].outcome.records.size(), 1U);
}

}  // namespace
}  // namespace nsa::store
