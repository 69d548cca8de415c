// The oracle must find what is planted: a real trial is run to its end, judged clean, and then one thing of
// it is changed at a time.
#include "oracle.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "rig.hpp"
#include "support/temp_dir.hpp"

namespace nsa::faults {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::Not;

// One finished trial for all tests; each works on a copy.
class Planted : public ::testing::Test {
  protected:
    static void SetUpTestSuite() {
        Lab lab;
        lab.programs = {NSAD_PATH, NSA_WORKER_PATH, {}, {}, {}};
        lab.folder = fs::temp_directory_path() / "nsa-faults";
        rig_ = std::make_unique<Rig>(
            lab, "oracle", "ctest -R Planted",
            WorkloadShape{.instances = {""}, .in_flight = 0, .cancel_percent = 0, .script = {}}, 1);
        for (const char* key : {"a", "b"})
            rig_->work().add(key, short_step(rig_->trial()), "");
        for (const Violation& one : rig_->settle())
            ADD_FAILURE() << "the trial itself: " << one.rule << ": " << one.text;
    }
    static void TearDownTestSuite() { rig_.reset(); }

    // Runs the SQL on the database itself: every test undoes its own, see Undo.
    static void sql(const std::string& text) {
        sqlite3* database = nullptr;
        ASSERT_EQ(::sqlite3_open((rig_->trial().state() / "nsa.db").c_str(), &database), SQLITE_OK);
        char* error = nullptr;
        EXPECT_EQ(::sqlite3_exec(database, text.c_str(), nullptr, nullptr, &error), SQLITE_OK)
            << (error == nullptr ? "" : error);
        ::sqlite3_free(error);
        ::sqlite3_close(database);
    }

    // What the oracle names, with the trial as it is now.
    static std::vector<std::string> rules() {
        std::vector<std::string> names;
        const Books books = read_books(rig_->trial().state(), rig_->trial().root() / "scratch");
        const auto marks = read_marks(rig_->trial().marks());
        DoneRuns done = done_;
        for (const Violation& one :
             judge_books(books, marks, rig_->work().submissions(), rig_->scene(), done))
            names.push_back(one.rule);
        for (const Violation& one :
             judge_settled(books, read_host_runs(rig_->scene().worker_homes), marks, rig_->scene()))
            names.push_back(one.rule);
        return names;
    }

    // The trial is put back as it was when a test ends.
    void SetUp() override {
        fs::copy(rig_->trial().root(), kept_ / "root", fs::copy_options::recursive);
        const Books books = read_books(rig_->trial().state(), rig_->trial().root() / "scratch");
        for (const auto& [id, run] : books.runs)
            done_[id] = run;
        ASSERT_EQ(rules(), std::vector<std::string>{}) << "clean before anything is planted";
    }
    void TearDown() override {
        for (const auto& entry : fs::directory_iterator{rig_->trial().root()})
            fs::remove_all(entry.path());
        fs::copy(kept_ / "root", rig_->trial().root(), fs::copy_options::recursive);
        done_.clear();
    }

    static std::string run() { return *rig_->work().submissions().at("a").run; }
    static fs::path at_home(const char* name) {
        return rig_->trial().artifacts() / run() / "1" / "steps" / "s" / name;
    }
    static void flip_last_byte(const fs::path& file) {
        std::string bytes = test::read_file(file);
        bytes.back() = static_cast<char>(bytes.back() ^ 1);
        test::write_file(file, bytes);
    }

    static std::unique_ptr<Rig> rig_;
    static DoneRuns done_;
    test::TempDir kept_;
};
std::unique_ptr<Rig> Planted::rig_;
DoneRuns Planted::done_;

constexpr const char* kOneRun = "(SELECT run_no FROM run WHERE idempotency_key = 'a')";

TEST_F(Planted, ALostRunIsNamed) {
    sql("PRAGMA foreign_keys = OFF; DROP TRIGGER run_change_is_kept; DELETE FROM run WHERE idempotency_key = "
        "'a'");
    EXPECT_THAT(rules(), Contains("lost"));
}

TEST_F(Planted, ARunThatNobodyAskedForIsNamed) {
    sql("UPDATE run SET idempotency_key = 'c' WHERE idempotency_key = 'a'");
    EXPECT_THAT(rules(), Contains("foreign run"));
}

TEST_F(Planted, ADroppedResultIsNamed) {
    sql(std::string{"DELETE FROM artifact WHERE path LIKE '%stdout' AND run_no = "} + kOneRun);
    EXPECT_THAT(rules(), Contains("result incomplete"));
    EXPECT_THAT(rules(), Contains("result changed"));
}

TEST_F(Planted, AFileOfAManifestThatItsWorkerDidNotLiveToAnnounceIsNotMissed) {
    sql(std::string{"DELETE FROM artifact WHERE path LIKE '%data.txt' AND run_no = "} + kOneRun);
    EXPECT_THAT(rules(), Contains("result incomplete"));
    const fs::path journal = rig_->trial().home() / ".nsa" / "runs" / (run() + ".1") / "journal.jsonl";
    const std::string text = test::read_file(journal);
    test::write_file(journal, text.substr(0, text.rfind("{\"seq\":")));
    EXPECT_THAT(rules(), Not(Contains("result incomplete")));
    EXPECT_THAT(rules(), Contains("journal differs")) << "here it has announced it";
}

TEST_F(Planted, ADroppedVerdictIsNamed) {
    sql("PRAGMA foreign_keys = OFF; DELETE FROM case_verdict");
    EXPECT_THAT(rules(), Contains("result incomplete"));
}

TEST_F(Planted, ADoubledPublicationIsNamed) {
    sql(std::string{"INSERT INTO run_change SELECT run_no, version + 100, at_ms, what, state, reason, "
                    "attempt, message "
                    "FROM run_change WHERE what = 'published' AND run_no = "} +
        kOneRun);
    EXPECT_THAT(rules(), Contains("result doubled"));
}

TEST_F(Planted, ASecondExecutionIsNamed) {
    test::write_file(rig_->trial().marks(),
                     test::read_file(rig_->trial().marks()) + "/x/runs/" + run() + ".1\n");
    EXPECT_THAT(rules(), Contains("re-run"));
}

TEST_F(Planted, AnExecutionThatNeverWasIsNamed) {
    test::write_file(rig_->trial().marks(), "");
    EXPECT_THAT(rules(), Contains("never ran"));
}

TEST_F(Planted, AChangedByteOfALogIsNamed) {
    flip_last_byte(at_home("stdout"));
    EXPECT_THAT(rules(), Contains("log differs"));
}

TEST_F(Planted, AChangedByteOfAnArtifactIsNamed) {
    flip_last_byte(at_home("data.txt"));
    EXPECT_THAT(rules(), Contains("artifact differs"));
}

TEST_F(Planted, AChangedByteOnTheHostIsNamed) {
    flip_last_byte(rig_->trial().home() / ".nsa" / "runs" / (run() + ".1") / "steps" / "s" / "stdout");
    EXPECT_THAT(rules(), Contains("log differs"));
}

TEST_F(Planted, AJournalWithAGapIsNamed) {
    sql(std::string{
            "DROP TRIGGER journal_event_is_kept; DELETE FROM journal_event WHERE seq = 2 AND run_no = "} +
        kOneRun);
    EXPECT_THAT(rules(), Contains("journal differs"));
}

TEST_F(Planted, AKeptLeaseAndAnUnfinishedRunAreNamed) {
    sql("UPDATE run SET state = 'RUNNING', status = NULL, holds_lease = 1 WHERE idempotency_key = 'a'");
    EXPECT_THAT(rules(), Contains("lease kept"));
    EXPECT_THAT(rules(), Contains("unfinished"));
}

TEST_F(Planted, AMissingReportIsNamed) {
    for (const auto& entry : fs::directory_iterator{rig_->trial().artifacts() / run()}) {
        if (entry.path().extension() == ".md") fs::remove(entry.path());
    }
    EXPECT_THAT(rules(), Contains("report missing"));
}

TEST_F(Planted, ATemporaryFileAndAStrayRunDirectoryAreNamed) {
    test::write_file(rig_->trial().artifacts() / "x.part", "left");
    fs::create_directories(rig_->trial().home() / ".nsa" / "runs" / "r-0000000000000.1");
    EXPECT_THAT(rules(), Contains("temporary file"));
    EXPECT_THAT(rules(), Contains("stray run directory"));
}

TEST_F(Planted, ADamagedDatabaseIsNamed) {
    // The middle of the file: pages of tables and indexes.
    const fs::path file = rig_->trial().state() / "nsa.db";
    std::string bytes = test::read_file(file);
    const std::size_t begin = bytes.size() / 2;
    for (std::size_t i = begin; i < std::min(bytes.size(), begin + 8192); ++i)
        bytes[i] = static_cast<char>(bytes[i] ^ 0x5a);
    test::write_file(file, bytes);
    const std::vector<Violation> found = rig_->judge_now();
    ASSERT_FALSE(found.empty());
    EXPECT_EQ(found.front().rule, "damaged");
}

TEST_F(Planted, AStrayProcessIsNamed) {
    const Process stray({.argv = {"/usr/bin/sleep", "60"},
                         .environment = {"HOME=" + rig_->trial().home().string()},
                         .output = rig_->trial().root() / "stray.out"});
    // It is between two programs for a moment, when it shows no environment.
    const auto deadline = std::chrono::steady_clock::now() + seconds(30);
    std::vector<std::string> seen;
    while (seen.empty() && std::chrono::steady_clock::now() < deadline)
        seen = rig_->trial().processes();
    EXPECT_EQ(seen.size(), 1U);
}

}  // namespace
}  // namespace nsa::faults
