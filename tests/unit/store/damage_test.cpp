// A damaged file: found at open and by any query, never written to, and the backup that helps is named.
#include <SQLiteCpp/SQLiteCpp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <stop_token>

#include "fixture.hpp"
#include "store/backup.hpp"

namespace nsa::store {
namespace {

namespace fs = std::filesystem;

std::string bytes_of(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

struct DamageTest : StoreTest {
    static constexpr int kRuns = 500;
    // Many rows, all of them in the main file: more than SQLite keeps in memory.
    void fill() {
        {
            Store store = open();
            must(store.together([&]() -> Result<void> {
                for (int i = 0; i < kRuns; ++i) {
                    NewRun run = a_run("r-" + std::to_string(i));
                    run.plan_json = std::string(20'000, 'p');
                    must(store.submit(run));
                }
                return {};
            }));
        }
        SQLite::Database plain(file().string(), SQLite::OPEN_READWRITE);
        plain.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    }
    // The head of every page but the first, as a stray write leaves it.
    void damage() {
        std::fstream pages(file(), std::ios::in | std::ios::out | std::ios::binary);
        const auto size = fs::file_size(file());
        for (std::uintmax_t page = 4096; page + 4096 <= size; page += 4096) {
            pages.seekp(static_cast<std::streamoff>(page));
            pages << std::string(64, '\xff');
        }
    }
};

TEST_F(DamageTest, Damaged_pages_are_found_at_open_and_the_file_is_left_alone) {
    fill();
    damage();
    const std::string before = bytes_of(file());
    const Result<Store> opened = Store::open(file());
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt) << opened.error().describe();
    EXPECT_NE(opened.error().text.find("there is no backup beside it"), std::string::npos);
    EXPECT_EQ(bytes_of(file()), before);
}

TEST_F(DamageTest, The_error_names_the_backup_and_copying_it_in_place_helps) {
    fill();
    must(replace_backup(file()));
    damage();
    const Result<Store> opened = Store::open(file());
    ASSERT_FALSE(opened.has_value());
    EXPECT_NE(opened.error().text.find("nsa.db.backup"), std::string::npos) << opened.error().text;
    for (const char* rest : {"-wal", "-shm"})
        fs::remove(file().string() + rest);
    fs::copy_file(backup_of(file()), file(), fs::copy_options::overwrite_existing);
    EXPECT_EQ(must(must(Store::open(file())).list_runs(2 * kRuns)).size(), static_cast<std::size_t>(kRuns));
}

TEST_F(DamageTest, Damage_that_a_query_meets_stops_every_later_write) {
    fill();
    Store store = open();
    damage();
    EXPECT_FALSE(store.broken());
    Result<std::vector<RunRow>> loaded = store.load_active_runs();
    for (int i = 0; loaded && i < kRuns; ++i) {
        const Result<RunDocuments> documents = store.documents(RunId{"r-" + std::to_string(i)});
        if (!documents) loaded = documents.error();
    }
    ASSERT_FALSE(loaded.has_value());
    EXPECT_EQ(loaded.error().code, ErrorCode::kCorrupt) << loaded.error().describe();
    ASSERT_TRUE(store.broken());
    const std::string before = bytes_of(file());
    const Result<Submitted> refused = store.submit(a_run("r-new"));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(bytes_of(file()), before);
}

TEST_F(DamageTest, A_backup_is_whole_while_others_write_and_replaces_the_last_one) {
    Store store = open();
    launch(store, "r-1");
    must(replace_backup(file()));
    must(store.submit(a_run("r-2")));
    EXPECT_EQ(must(must(Store::open(backup_of(file()))).list_runs(10)).size(), 1U);
    must(replace_backup(file()));
    Store copy = must(Store::open(backup_of(file())));
    EXPECT_EQ(must(copy.list_runs(10)).size(), 2U);
    EXPECT_EQ(must(copy.find_run(RunId{"r-1"})).attempt->pid, 77);
    EXPECT_FALSE(fs::exists(backup_of(file()).string() + ".new"));
}

TEST_F(DamageTest, A_backup_that_is_told_to_stop_ends_and_leaves_the_last_one) {
    fill();
    must(replace_backup(file()));
    const std::string good = bytes_of(backup_of(file()));
    std::stop_source stop;
    stop.request_stop();
    const Result<void> copied = replace_backup(file(), stop.get_token());
    ASSERT_FALSE(copied.has_value());
    EXPECT_EQ(copied.error().code, ErrorCode::kConflict) << copied.error().describe();
    EXPECT_EQ(bytes_of(backup_of(file())), good);
    EXPECT_FALSE(fs::exists(backup_of(file()).string() + ".new"));
}

TEST_F(DamageTest, A_copy_never_overwrites) {
    Store store = open();
    const fs::path copy = dir_.path() / "copy.db";
    must(copy_database(file(), copy));
    const Result<void> again = copy_database(file(), copy);
    ASSERT_FALSE(again.has_value());
    EXPECT_EQ(again.error().code, ErrorCode::kConflict);
}

TEST_F(DamageTest, A_damaged_database_never_replaces_a_good_backup) {
    fill();
    must(replace_backup(file()));
    const std::string good = bytes_of(backup_of(file()));
    damage();
    const Result<void> copied = replace_backup(file());
    ASSERT_FALSE(copied.has_value());
    EXPECT_EQ(copied.error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(bytes_of(backup_of(file())), good);
}

TEST_F(DamageTest, A_locked_database_never_replaces_a_good_backup) {
    {
        Store store = open();
        must(store.submit(a_run("r-1")));
        must(replace_backup(file()));
    }
    const std::string good = bytes_of(backup_of(file()));
    SQLite::Database other(file().string(), SQLite::OPEN_READWRITE);
    other.exec("PRAGMA locking_mode = EXCLUSIVE");
    other.exec("UPDATE run SET name = 'locked'");
    const Result<void> copied = replace_backup(file());
    ASSERT_FALSE(copied.has_value());
    EXPECT_EQ(copied.error().code, ErrorCode::kTimeout) << copied.error().describe();
    EXPECT_EQ(bytes_of(backup_of(file())), good);
}

TEST_F(DamageTest, Where_there_is_no_database_the_error_says_so_and_no_copy_is_made) {
    const fs::path copy = dir_.path() / "copy.db";
    const Result<void> copied = copy_database(dir_.path() / "missing.db", copy);
    ASSERT_FALSE(copied.has_value());
    EXPECT_EQ(copied.error().code, ErrorCode::kNotFound) << copied.error().describe();
    EXPECT_FALSE(fs::exists(copy));
}

}  // namespace
}  // namespace nsa::store
