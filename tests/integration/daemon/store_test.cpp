// The daemon and its database on bad days: a damaged row, a damaged file, a full disk, a crash between two
// rows.
#include "store/store.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include <fstream>
#include <functional>
#include <thread>

#include "language/yaml/reader.hpp"
#include "nsad_process.hpp"
#include "specs.hpp"
#include "store/backup.hpp"

namespace nsa::test {
namespace {

using language::Reason;
using language::RunState;
using language::Status;
using std::chrono::seconds;

template <class T>
T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().describe());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// Looks often, up to a limit far beyond what it takes.
bool eventually(const std::function<bool()>& holds) {
    const auto deadline = std::chrono::steady_clock::now() + seconds(60);
    while (!holds()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
}

// Whether the backup of this moment, looked at in a copy, has the run as DONE.
bool backup_has(const std::filesystem::path& file, const std::filesystem::path& copy, const RunId& id) {
    std::error_code ec;
    std::filesystem::copy_file(store::backup_of(file), copy,
                               std::filesystem::copy_options::overwrite_existing, ec);
    if (ec) return false;
    const Result<store::RunRow> row = must(store::Store::open(copy)).find_run(id);
    return row && row->state == RunState::kDone;
}

store::NewRun new_run(const std::string& id, const std::string& script = "true") {
    const std::string yaml = shell_spec(script);
    const auto spec = must(language::parse_spec(yaml, "test.yaml"));
    store::NewRun run =
        store::new_run(RunId{id}, must(language::make_plan(spec, yaml)), yaml, "test.yaml", 1);
    run.requested_instance = {"local"};
    return run;
}

TEST(Store, ARunWithADamagedPlanIsEndedAndItsInstanceServesTheNextOne) {
    TempDir dir;
    std::filesystem::create_directories(dir / "state");
    const RunId queued{"r-20260101-000000-000001"}, launched{"r-20260101-000000-000002"};
    {
        store::Store store = must(store::Store::open(dir / "state" / "nsa.db"));
        for (const RunId& id : {queued, launched}) {
            store::NewRun run = new_run(id.value);
            run.plan_json = "{\"version\": 1, ";
            must(store.submit(run));
        }
        store::RunChange leased;
        leased.state = RunState::kRunning;
        leased.lease = InstanceName{"local"};
        must(store.set_run_state(launched, leased));
        must(store.begin_attempt(launched, Attempt{1}, {"local"}, 2));
        must(store.record_launch(launched, Attempt{1}, {4'000'000, 1, "boot", 3}));
    }
    NsadProcess nsad(dir.path());
    for (const RunId& id : {queued, launched}) {
        const api::RunView run = nsad.wait_done(id);
        EXPECT_EQ(run.reason, Reason::kInternal);
        EXPECT_EQ(run.status, Status::kInfrastructure);
        EXPECT_NE(run.message.find("its stored plan cannot be read"), std::string::npos) << run.message;
    }
    EXPECT_EQ(nsad.wait_done(nsad.submit(shell_spec("true"))).status, Status::kPass) << "the lease is back";
}

TEST(Store, ADamagedFileIsRefusedWithTheNameOfTheBackupThatHelps) {
    TempDir dir;
    const std::filesystem::path file = dir / "state" / "nsa.db";
    RunId id;
    {
        NsadProcess nsad(dir.path(), NsadOptions{.flags = {"--backup-every", "0.001"}});
        id = nsad.submit(shell_spec("true"));
        EXPECT_EQ(nsad.wait_done(id).status, Status::kPass);
        ASSERT_TRUE(eventually([&] { return backup_has(file, dir / "look.db", id); }));
        ASSERT_TRUE(nsad.end(SIGTERM, seconds(20)));
    }
    {
        std::fstream pages(file, std::ios::in | std::ios::out | std::ios::binary);
        for (std::uintmax_t page = 4096; page + 4096 <= std::filesystem::file_size(file); page += 4096) {
            pages.seekp(static_cast<std::streamoff>(page));
            pages << std::string(64, '\xff');
        }
    }
    const Refusal refusal = start_and_fail(dir.path());
    EXPECT_EQ(refusal.exit_code, 1);
    EXPECT_NE(refusal.said.find("the database is damaged"), std::string::npos) << refusal.said;
    EXPECT_NE(refusal.said.find("nsa.db.backup"), std::string::npos) << refusal.said;
    std::filesystem::copy_file(store::backup_of(file), file,
                               std::filesystem::copy_options::overwrite_existing);
    NsadProcess nsad(dir.path());
    EXPECT_EQ(nsad.wait_done(id).status, Status::kPass);
}

// Longer than SQLite waits for a lock: the daemon tries again instead of leaving.
TEST(Store, AStartWaitsForADatabaseThatAnotherProgramKeepsLocked) {
    TempDir dir;
    std::filesystem::create_directories(dir / "state");
    const std::string file = (dir / "state" / "nsa.db").string();
    must(must(store::Store::open(file)).submit(new_run("r-20260101-000000-000001")));
    sqlite3* other = nullptr;
    ASSERT_EQ(::sqlite3_open(file.c_str(), &other), SQLITE_OK);
    ASSERT_EQ(::sqlite3_exec(other, "PRAGMA locking_mode = EXCLUSIVE; UPDATE run SET name = 'locked'",
                             nullptr, nullptr, nullptr),
              SQLITE_OK);
    std::thread holder([other] {
        std::this_thread::sleep_for(std::chrono::milliseconds(6500));
        ::sqlite3_close(other);
    });
    std::string refused;
    try {
        NsadProcess nsad(dir.path());
        EXPECT_EQ(nsad.wait_done(RunId{"r-20260101-000000-000001"}).status, Status::kPass);
    } catch (const std::exception& error) {
        refused = error.what();
    }
    holder.join();
    EXPECT_EQ(refused, "");
}

TEST(Store, ACopyIsMadeBesideARunningDaemonOnRequest) {
    TempDir dir;
    NsadProcess nsad(dir.path());
    const RunId id = nsad.submit(shell_spec("true"));
    nsad.wait_done(id);
    const std::filesystem::path copy = dir / "copy.db";
    EXPECT_EQ(start_and_fail(dir.path(), NsadOptions{.flags = {"--backup-to", copy.string()}}).exit_code, 0);
    EXPECT_EQ(must(must(store::Store::open(copy)).find_run(id)).state, RunState::kDone);
    const Refusal again = start_and_fail(dir.path(), NsadOptions{.flags = {"--backup-to", copy.string()}});
    EXPECT_EQ(again.exit_code, 1) << "a copy never overwrites";
}

// The state folder is a file system of its own, which a step of a run fills to the last byte.
TEST(Store, AFullDiskStillRecordsWhatRunsRefusesNewRunsAndHealsByItself) {
    TempDir dir;
    const std::string state = (dir / "state").string(), flag = (dir / "flag").string();
    std::filesystem::create_directories(state);
    const std::string mount = "mount -t tmpfs -o size=48m none '" + state + "' && exec \"$@\"";
    const NsadOptions options{.prefix = {"unshare", "--mount", "--map-root-user", "sh", "-c", mount, "sh"},
                              .socket = dir / "nsad.sock"};  // the mounted folder is seen by the daemon alone
    NsadProcess nsad(dir.path(), options);
    EXPECT_EQ(nsad.wait_done(nsad.submit(shell_spec("true"))).status, Status::kPass);
    const RunId filling = nsad.submit(shell_spec("cat /dev/zero > '" + state + "/fill' || true; touch '" +
                                                 flag + ".full'; while [ ! -e '" + flag +
                                                 "' ]; do sleep 0.02; done; rm '" + state + "/fill'"));
    const RunId waiting = nsad.submit(shell_spec("true"));
    ASSERT_TRUE(eventually([&] { return std::filesystem::exists(flag + ".full"); }));
    nsad.call(nsad.api().cancel(waiting));
    EXPECT_EQ(nsad.wait_done(waiting).reason, Reason::kCancelledByUser) << "the reserve is for this";
    std::string refused;
    try {
        nsad.submit(shell_spec("true"));
    } catch (const std::exception& error) {
        refused = error.what();
    }
    EXPECT_NE(refused.find("the disk of this host is full"), std::string::npos) << refused;
    write_file(flag, "");
    EXPECT_EQ(nsad.wait_done(filling).status, Status::kPass);
    std::optional<RunId> taken;
    const auto is_taken = [&] {
        try {
            taken = nsad.submit(shell_spec("true"));
        } catch (const std::exception&) {
            return false;
        }
        return true;
    };
    ASSERT_TRUE(eventually(is_taken));
    EXPECT_EQ(nsad.wait_done(*taken).status, Status::kPass);
}

// An nsad whose state folder is a full file system of its own, with the database of `seed` and what `also`
// makes. Its words go to `said`; a line that ends with "room" makes room.
NsadOptions starting_on_a_full_disk(const TempDir& dir, const std::string& also) {
    const std::string script =
        "cd \"$0\" && mount -t tmpfs -o size=48m none state && cp seed/nsa.db state && " + also +
        " { cat /dev/zero > state/fill; mkfifo words; true; } 2> /dev/null &&"
        "{ while read -r line; do echo \"$line\" | tee -a said >&2;"
        " case $line in *room) rm state/fill;; esac; done < words & } && exec \"$@\" 2> words";
    std::filesystem::create_directories(dir / "state");
    return {.prefix = {"unshare", "--mount", "--map-root-user", "sh", "-c", script, dir.path().string()},
            .socket = dir / "nsad.sock"};
}

RunId seed_with_run_that(const TempDir& dir, const std::string& script) {
    std::filesystem::create_directories(dir / "seed");
    store::Store store = must(store::Store::open(dir / "seed" / "nsa.db"));
    const store::NewRun run = new_run("r-20260101-000000-000001", script);
    must(store.submit(run));
    return run.run;
}

TEST(Store, AStartOnAFullDiskGivesItsReserveAndGoesOnWithWhatIsThere) {
    TempDir dir;
    const RunId id = seed_with_run_that(dir, "rm '" + (dir / "state/fill").string() + "'");
    NsadProcess nsad(dir.path(),
                     starting_on_a_full_disk(dir, "head -c 3145728 /dev/zero > state/nsa.reserve &&"));
    EXPECT_EQ(nsad.wait_done(id).status, Status::kPass) << "its step makes the room";
    EXPECT_EQ(read_file(dir / "said").find("tried again"), std::string::npos);
}

TEST(Store, AStartOnAFullDiskWithoutAReserveSaysSoOnceAndWaitsForRoom) {
    TempDir dir;
    const RunId id = seed_with_run_that(dir, "true");
    NsadProcess nsad(dir.path(), starting_on_a_full_disk(dir, ""));
    EXPECT_EQ(nsad.wait_done(id).status, Status::kPass);
    const std::string said = read_file(dir / "said"),
                      again = "nsad: tried again every 2 s until there is room\n";
    EXPECT_NE(said.find("nsa.db: the disk of the database is full: "), std::string::npos) << said;
    const std::size_t first = said.find(again);
    EXPECT_NE(first, std::string::npos) << said;
    EXPECT_EQ(said.find(again, first + 1), std::string::npos) << said;
}

TEST(Store, ACrashWhileARetryIsStagedGoesOnWithTheRetry) {
    TempDir dir;
    const std::string marks = (dir / "marks").string();
    // The first attempt kills its supervisor; the second one passes.
    const std::string script =
        "echo x >> '" + marks + "'; [ $(wc -l < '" + marks + "') -gt 1 ] || { kill -9 $PPID; sleep 1000; }";
    RunId id;
    {
        NsadProcess nsad(dir.path(),
                         NsadOptions{.environment = {"NSA_FAILPOINT=daemon.stage.begin:2"}, .lab = true});
        id = nsad.submit(shell_spec(script, "retry: {on: [infra], max: 1}\n"));
        const std::optional<int> status = nsad.wait_end(seconds(60));
        ASSERT_TRUE(status && WIFSIGNALED(*status) && WTERMSIG(*status) == SIGKILL);
    }
    {
        const store::RunRow row = must(must(store::Store::open(dir / "state" / "nsa.db")).find_run(id));
        ASSERT_EQ(row.state, RunState::kStaging);
        EXPECT_EQ(row.attempts_over, Attempt{1});
    }
    NsadProcess nsad(dir.path());
    const api::RunView run = nsad.wait_done(id);
    EXPECT_EQ(run.status, Status::kPass) << run.message;
    EXPECT_EQ(run.attempt, Attempt{2});
    EXPECT_EQ(read_file(marks), "x\nx\n");
}

// A step that kills its supervisor: a failure of the infrastructure.
TEST(Store, ARunIsRetriedForItsClassOfFailureUpToTheCapAndEveryAttemptIsKept) {
    TempDir dir;
    const std::string marks = (dir / "marks").string();
    const std::string dies = "echo x >> '" + marks + "'; echo attempt $(wc -l < '" + marks +
                             "'); sleep 0.2; kill -9 $PPID; sleep 1000";
    RunId id, failed;
    {
        NsadProcess nsad(dir.path());
        id = nsad.submit(shell_spec(dies, "retry: {on: [infra], max: 2}\n"));
        const api::RunView run = nsad.wait_done(id);
        EXPECT_EQ(run.reason, Reason::kWorkerDied) << run.message;
        EXPECT_EQ(run.status, Status::kInfrastructure);
        failed = nsad.submit(shell_spec("exit 1", "retry: {on: [infra], max: 2}\n"));
        EXPECT_EQ(nsad.wait_done(failed).status, Status::kFail) << "the subject's own failure";
        ASSERT_TRUE(nsad.end(SIGTERM, seconds(20)));
    }
    EXPECT_EQ(read_file(marks), "x\nx\nx\n");
    store::Store store = must(store::Store::open(dir / "state" / "nsa.db"));
    EXPECT_EQ(must(store.attempts(failed)).size(), 1U);
    const std::vector<store::AttemptRow> attempts = must(store.attempts(id));
    ASSERT_EQ(attempts.size(), 3U);
    for (std::size_t i = 0; i < attempts.size(); ++i) {
        const std::string number = std::to_string(i + 1);
        EXPECT_EQ(attempts[i].attempt.value, static_cast<int>(i + 1));
        EXPECT_GT(attempts[i].last_seq, 0U) << "its journal came home";
        EXPECT_EQ(read_file(dir / "artifacts" / id.value / number / "steps/s/stdout"),
                  "attempt " + number + "\n");
    }
}

}  // namespace
}  // namespace nsa::test
