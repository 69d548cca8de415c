// A store or a disk that fails in the middle of what the daemon does. This program's sqlite3_prepare_v2,
// sqlite3_step and rename stand in front of the libraries'.
#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <stdio.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "api/service.hpp"
#include "daemon/daemon.hpp"
#include "daemon/link.hpp"
#include "language/plan.hpp"
#include "support/memory_stream.hpp"
#include "support/run.hpp"
#include "support/temp_dir.hpp"

namespace {

// The next statement with this text in it finds no memory when it is made, or the database locked when it
// runs.
std::atomic<const char*> statement_without_memory = nullptr, statement_without_lock = nullptr;
// So many reports are refused their names, by a full disk.
std::atomic<int> refused_names = 0;

// Whether it is this one's turn; once.
bool is_due(std::atomic<const char*>& failing, const char* sql) {
    const char* const text = failing;
    if (text == nullptr || std::strstr(sql, text) == nullptr) return false;
    failing = nullptr;
    return true;
}

}  // namespace

extern "C" int sqlite3_prepare_v2(sqlite3* database, const char* sql, int size, sqlite3_stmt** statement,
                                  const char** rest) {
    static const auto prepare =
        reinterpret_cast<decltype(&sqlite3_prepare_v2)>(::dlsym(RTLD_NEXT, "sqlite3_prepare_v2"));
    if (is_due(statement_without_memory, sql)) throw std::bad_alloc();
    return prepare(database, sql, size, statement, rest);
}
extern "C" int sqlite3_step(sqlite3_stmt* statement) {
    static const auto step = reinterpret_cast<decltype(&sqlite3_step)>(::dlsym(RTLD_NEXT, "sqlite3_step"));
    return is_due(statement_without_lock, ::sqlite3_sql(statement)) ? SQLITE_BUSY : step(statement);
}
extern "C" int rename(const char* from, const char* to) noexcept {
    const bool is_report = std::strstr(to, "Test Engineer Report") != nullptr;
    if (is_report && refused_names > 0) {
        --refused_names;
        errno = ENOSPC;
        return -1;
    }
    return ::renameat(AT_FDCWD, from, AT_FDCWD, to);
}

namespace nsa::daemon {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds kLong{60};

// Runs the loop until `holds`, or for a long time.
template <class Condition>
void run_until(asio::io_context& io, Condition holds) {
    const auto deadline = steady_clock::now() + kLong;
    io.restart();
    while (!holds() && io.run_one_until(deadline) != 0) {
    }
}

class Faults : public testing::Test {
  protected:
    void SetUp() override {
        statement_without_memory = statement_without_lock = nullptr;
        refused_names = 0;
    }
    test::TempDir dir;
    asio::io_context io;
};

class DaemonFaults : public Faults {
  protected:
    void open(milliseconds reports_again = std::chrono::hours{1}) {
        Config config;
        config.state_dir = dir / "state";
        config.artifacts_dir = dir / "artifacts";
        config.worker = dir / "no-worker";
        config.reserve_bytes = 0;
        config.reports_again = reports_again;
        config.on_store_failure = [this](const Error& error) { given_up = error; };
        auto opened = Daemon::open(io, std::move(config));
        ASSERT_TRUE(opened.has_value()) << opened.error().describe();
        daemon = std::move(*opened);
    }
    void TearDown() override {
        if (daemon) close();
    }
    void close() {
        EXPECT_TRUE(daemon->shut_down(kLong));
        daemon.reset();
    }
    // A run that names an instance that is not there ends at once.
    RunId submit(const std::string& instance) {
        api::SubmitRequest request;
        request.spec_yaml =
            "version: 1\nname: faults\nsubject: Faults\nsteps:\n"
            "  - {id: s, kind: command, run: [/bin/true]}\n";
        request.instance = instance;
        return test::run(io, daemon->service().submit(request)).value().run;
    }
    api::RunView view(const RunId& run, std::uint64_t since = 0) {
        return test::run(io, daemon->service().wait_run(run, since, since == 0 ? seconds{0} : seconds{5}))
            .value();
    }
    std::string report_of(const RunId& run) {
        const auto deadline = steady_clock::now() + kLong;
        api::RunView seen = view(run);
        while (seen.report_path.empty() && steady_clock::now() < deadline)
            seen = view(run, seen.version);
        return seen.report_path;
    }

    std::optional<Error> given_up;
    std::unique_ptr<Daemon> daemon;
};

TEST_F(DaemonFaults, AnExceptionInASaveGivesTheStoreUpInsteadOfLeavingEverythingWaiting) {
    open();
    statement_without_memory = "UPDATE run SET state";
    submit("");
    run_until(io, [&] { return given_up.has_value(); });
    ASSERT_TRUE(given_up.has_value());
    EXPECT_NE(given_up->text.find("a save threw"), std::string::npos) << given_up->text;
}

TEST_F(DaemonFaults, AReportThatAFullDiskRefusedIsRenderedWithoutARestart) {
    open(milliseconds{1});
    refused_names = 2;
    EXPECT_NE(report_of(submit("missing")), "");
    EXPECT_EQ(refused_names, 0);
}

TEST_F(DaemonFaults, AReportIsRenderedAtTheNextStartHoweverManyRunsCameSince) {
    open();
    refused_names = 1;
    const RunId run = submit("missing");
    run_until(io, [] { return refused_names == 0; });
    ASSERT_EQ(view(run).report_path, "");
    close();
    {
        auto store = store::Store::open(dir / "state/nsa.db").value();
        const auto many = store.together([&]() -> Result<void> {
            for (int i = 0; i < 150; ++i) {
                language::Plan plan;
                plan.target.gpu = "A100";
                const RunId id{"r-later-" + std::to_string(i)};
                if (const auto put = store.submit(store::new_run(id, plan, "", "later.yaml", 1)); !put)
                    return put.error();
            }
            return {};
        });
        ASSERT_TRUE(many.has_value()) << many.error().describe();
    }
    open();
    EXPECT_NE(report_of(run), "");
}

// An engine that gives its one stream away, or throws.
class OneStream : public engines::Engine {
  public:
    explicit OneStream(std::unique_ptr<engines::ByteStream> stream) : stream_(std::move(stream)) {}
    asio::awaitable<Result<std::unique_ptr<engines::ByteStream>>> open(engines::InstanceConfig) override {
        if (!stream_) throw std::runtime_error("no more streams");
        co_return std::move(stream_);
    }

  private:
    std::unique_ptr<engines::ByteStream> stream_;
};

class LinkFaults : public Faults {
  protected:
    // The first event of a link through this engine.
    scheduler::Event first_event(engines::Engine& engine) {
        std::vector<scheduler::Event> events;
        TaskGroup tasks(io.get_executor(), [](const std::string&, std::exception_ptr) {});
        engines::InstanceConfig config;
        config.name = {"box"};
        const auto link = std::make_shared<Link>(
            Link::Parts{.loop = io.get_executor(),
                        .engine = engine,
                        .books = books,
                        .tasks = tasks,
                        .emit = [&](scheduler::Event event) { events.push_back(std::move(event)); },
                        .jitter = [] { return 0.5; }},
            config);
        link->connect();
        run_until(io, [&] { return !events.empty() || tasks.empty(); });
        link->close();
        run_until(io, [&] { return tasks.empty(); });
        return events.empty() ? scheduler::Event(scheduler::Tick{}) : events.front();
    }
    // A worker that has one run of ours and one that nobody here knows.
    static asio::awaitable<bool> serve(test::MemoryPeer& peer) {
        using protocol::FrameType;
        const protocol::Frame hello = co_await peer.next_frame();
        peer.send(FrameType::kReply, hello.request, encode(protocol::HelloReply{}));
        const protocol::Frame list = co_await peer.next_frame();
        const std::vector<protocol::RunListing> runs = {
            {{{"r-other"}, Attempt{1}}, protocol::RemoteState::kRunning, 3},
            {{{"r-ours"}, Attempt{2}}, protocol::RemoteState::kRunning, 3}};
        peer.send(FrameType::kReply, list.request, protocol::encode(runs));
        co_return true;
    }
    scheduler::Event event_of_a_host_with_runs() {
        test::MemoryPeer peer{io.get_executor()};
        OneStream engine(peer.take_stream());
        asio::co_spawn(io, serve(peer), [](std::exception_ptr, bool) {});
        return first_event(engine);
    }
    void SetUp() override {
        Faults::SetUp();
        const RunId ours{"r-ours"};
        ASSERT_TRUE(books.directly().submit(store::new_run(ours, language::Plan{}, "", "x.yaml", 1)));
    }

    Books books{io.get_executor(), store::Store::open(dir / "nsa.db").value(),
                DiskReserve(dir / "reserve", 0)};
};

TEST_F(LinkFaults, AHostTellsOfOurRunsAlone) {
    const scheduler::Event event = event_of_a_host_with_runs();
    ASSERT_TRUE(std::holds_alternative<scheduler::LinkUp>(event));
    const std::vector<std::pair<RunId, Attempt>> ours = {{{"r-ours"}, Attempt{2}}};
    EXPECT_EQ(std::get<scheduler::LinkUp>(event).alive, ours);
}

TEST_F(LinkFaults, AStoreThatCannotSayWhoseARunIsFailsTheConnect) {
    statement_without_lock = "WHERE r.run = ?";
    const scheduler::Event event = event_of_a_host_with_runs();
    ASSERT_TRUE(std::holds_alternative<scheduler::LinkDown>(event));
    EXPECT_EQ(std::get<scheduler::LinkDown>(event).reason, language::Reason::kHostUnreachable);
}

TEST_F(LinkFaults, AnExceptionOfAConnectIsAFailedConnect) {
    OneStream engine(nullptr);
    const scheduler::Event event = first_event(engine);
    ASSERT_TRUE(std::holds_alternative<scheduler::LinkDown>(event));
    EXPECT_NE(std::get<scheduler::LinkDown>(event).message.find("no more streams"), std::string::npos);
}

}  // namespace
}  // namespace nsa::daemon
