#include "daemon/daemon.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <random>

#include "api/server.hpp"
#include "daemon/adoption.hpp"
#include "daemon/clock.hpp"
#include "daemon/performer.hpp"
#include "daemon/run_ids.hpp"
#include "daemon/service.hpp"
#include "daemon/state_lock.hpp"
#include "daemon/upkeep.hpp"
#include "daemon/version.hpp"
#include "engine_ssh/ssh_engine.hpp"
#include "engines/local_engine.hpp"
#include "instances/config.hpp"
#include "language/failpoint.hpp"
#include "system/disk_full.hpp"

namespace nsa::daemon {

namespace asio = boost::asio;
using std::chrono::milliseconds;

namespace {

constexpr std::chrono::seconds kUndo{10};  // longer than SQLite waits for a lock

std::string text_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& thrown) {
        return thrown.what();
    } catch (...) {
        return "an exception that is no std::exception";
    }
}

std::filesystem::path reserve_of(const Config& config) {
    return config.state_dir / "nsa.reserve";
}

// A full disk gets the reserve here, too: what runs already must be taken over and recorded.
Result<store::Store> open_store(const Config& config) {
    const std::filesystem::path file = config.state_dir / "nsa.db";
    Result<store::Store> store = store::Store::open(file);
    const bool full = !store && store.error().code == ErrorCode::kNoSpace;
    if (full && DiskReserve(reserve_of(config), config.reserve_bytes).release())
        return store::Store::open(file);
    return store;
}

engines::SshSettings ssh_settings(const Config& config) {
    engines::SshSettings settings;
    settings.worker = config.worker;
    return settings;
}

}  // namespace

// Members in order of construction; what is below may use what is above.
struct Daemon::Impl {
    Impl(asio::io_context& io_context, Config with, StateLock held, Log to, store::Store store)
        : io(io_context),
          config(std::move(with)),
          lock(std::move(held)),
          log(std::move(to)),
          tasks(io.get_executor(),
                [this](const std::string& name, std::exception_ptr error) {
                    if (!stopping) log.error("task \"" + name + "\": " + text_of(error));
                }),
          books(io.get_executor(), std::move(store), DiskReserve(reserve_of(config), config.reserve_bytes)),
          write_back(config.artifacts_dir),
          log_disk(io.get_executor()),
          disk(io.get_executor()),
          copies(io.get_executor()),
          log_growth(io.get_executor()),
          runs(books),
          local_engine(engines::make_local_engine(io.get_executor(), config.worker)),
          ssh_engine(engines::make_ssh_engine(io.get_executor(), ssh_settings(config))),
          instances({.loop = io.get_executor(),
                     .local = *local_engine,
                     .ssh = *ssh_engine,
                     .books = books,
                     .tasks = tasks,
                     .emit = [this](scheduler::Event event) { performer.apply(event); },
                     .jitter = [this] { return std::uniform_real_distribution<>(0, 1)(random); }}),
          place{.config = config,
                .log = log,
                .books = books,
                .runs = runs,
                .instances = instances,
                .log_disk = log_disk,
                .disk = disk,
                .write_back = write_back,
                .log_growth = log_growth,
                .emit = [this](scheduler::Event event) { performer.apply(event); }},
          performer(io.get_executor(), place, tasks),
          service(place, [this](std::int64_t wall) {
              return make_run_id(wall, static_cast<std::uint32_t>(random()));
          }) {}

    Result<void> begin();
    Result<void> adopt_instances();
    Result<void> adopt_runs();
    Result<void> serve();
    asio::awaitable<void> wind_down(milliseconds grace);

    asio::io_context& io;
    const Config config;
    StateLock lock;
    Log log;
    bool stopping = false;
    std::mt19937 random{std::random_device{}()};
    TaskGroup tasks;
    Books books;
    WriteBack write_back;
    BlockingThread log_disk, disk, copies;
    Changes log_growth;
    RunBook runs;
    std::unique_ptr<engines::Engine> local_engine, ssh_engine;
    Instances instances;
    Workplace place;
    Performer performer;
    DaemonService service;
    std::unique_ptr<api::Server> server;
};

Result<void> Daemon::Impl::adopt_instances() {
    store::Store& store = books.directly();
    const engines::InstanceConfig local = instances::local_instance();
    if (!store.find_instance(local.name)) {
        if (Result<void> put = store.put_instance(row_of(local, wall_ms())); !put) return put;
    }
    const Result<std::vector<store::InstanceRow>> rows = store.list_instances();
    if (!rows) return rows.error();
    for (const store::InstanceRow& row : *rows) {
        if (Result<void> loaded = instances.load(row); !loaded) return loaded;
    }
    for (const auto& [name, entry] : instances.all()) {
        const bool now = config.connect_all || entry.config.engine == language::EngineKind::kLocal;
        performer.apply(scheduler::InstanceKnown{name, entry.config.engine, entry.facts, now});
    }
    return {};
}

Result<void> Daemon::Impl::adopt_runs() {
    Result<std::vector<scheduler::RunRestored>> restored = runs_to_adopt(books.directly());
    if (!restored) return restored.error();
    for (scheduler::RunRestored& run : *restored) {
        // One damaged run must not keep the others from going on.
        if (!run.unreadable.empty())
            log.error("run " + run.run.run.value + " cannot be taken over: " + run.unreadable);
        performer.apply(std::move(run));
        failpoint("daemon.recovery.run_adopted");
    }
    if (!restored->empty())
        log.info("took over " + std::to_string(restored->size()) + " runs that are not done");
    return {};
}

Result<void> Daemon::Impl::serve() {
    if (!config.socket) return {};
    api::ServerOptions options;
    options.socket = *config.socket;
    options.on_problem = [this](const std::string& text) { log.warn("api: " + text); };
    Result<std::unique_ptr<api::Server>> opened =
        api::Server::open(io.get_executor(), service, std::move(options));
    if (!opened) return opened.error();
    server = std::move(*opened);
    return {};
}

Result<std::unique_ptr<Daemon>> Daemon::open(asio::io_context& io, Config config) {
    if (Result<void> made = make_private_dir(config.state_dir); !made) return made.error();
    Result<StateLock> lock = StateLock::take(config.state_dir / "nsad.lock");
    if (!lock) return lock.error();
    failpoint("daemon.start.locked");
    std::error_code ec;
    std::filesystem::create_directories(config.artifacts_dir, ec);
    if (ec) {
        return fail(is_disk_full(ec.value()) ? ErrorCode::kNoSpace : ErrorCode::kInternal, ec.message(),
                    "make folder " + config.artifacts_dir.string());
    }
    Result<Log> log = Log::open(config.state_dir / "nsad.log", config.log_to_stderr);
    if (!log) return log.error();
    Result<store::Store> store = open_store(config);
    if (!store) return store.error();
    failpoint("daemon.start.store_open");
    auto impl =
        std::make_unique<Impl>(io, std::move(config), std::move(*lock), std::move(*log), std::move(*store));
    impl->log.info(std::string("nsad ") + kVersion + " (" + kCommit + ") starts");
    std::unique_ptr<Daemon> daemon(new Daemon(std::move(impl)));
    if (Result<void> begun = daemon->impl_->begin(); !begun) {
        if (daemon->shut_down(kUndo)) return begun.error();
        // It would go on in the loop of whoever tries again.
        return fail(ErrorCode::kInternal, begun.error().text + "; what had begun does not end",
                    begun.error().where);
    }
    return daemon;
}

// Before the loop runs, so that the store is used directly.
Result<void> Daemon::Impl::begin() {
    books.on_broken = [this](const Error& error) {
        log.error("the store is given up: " + error.describe());
        if (config.on_store_failure) config.on_store_failure(error);
    };
    // The socket first: its bind changes the umask of the process for a moment.
    if (Result<void> served = serve(); !served) return served;
    failpoint("daemon.start.serving");
    if (Result<void> adopted = adopt_instances(); !adopted) return adopted;
    failpoint("daemon.recovery.instances_adopted");
    if (Result<void> adopted = adopt_runs(); !adopted) return adopted;
    failpoint("daemon.recovery.runs_adopted");
    performer.render_missing();
    tasks.spawn(keep_store(place, copies), "upkeep of the store");
    failpoint("daemon.recovery.done");
    if (config.socket) log.info("serves " + config.socket->string());
    return {};
}

Daemon::Daemon(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Daemon::~Daemon() = default;

api::Service& Daemon::service() {
    return impl_->service;
}

asio::awaitable<void> Daemon::Impl::wind_down(milliseconds grace) {
    // Asio posts at the end of a coroutine that never waited, and this one cancels itself with the others
    // below: that post would throw out of the loop.
    co_await asio::post(asio::use_awaitable);
    failpoint("daemon.shutdown.begin");
    log_growth.close();
    books.changes().close();
    if (server) {
        const std::size_t left = co_await server->stop(grace);
        if (left > 0) log.warn(std::to_string(left) + " API connections did not end");
    }
    performer.stop();
    instances.close_all();
    tasks.cancel();
}

bool Daemon::shut_down(milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    impl_->stopping = true;
    impl_->io.restart();
    impl_->tasks.spawn(impl_->wind_down(limit / 2), "shutdown");
    const auto ended = [this] { return impl_->tasks.empty() && impl_->service.calls() == 0; };
    while (!ended() && std::chrono::steady_clock::now() < deadline)
        impl_->io.run_one_until(deadline);
    for (const std::string& name : impl_->tasks.names())
        impl_->log.error("task \"" + name + "\" does not end");
    impl_->log.info(ended() ? "nsad ends" : "nsad gives up waiting");
    return ended();
}

}  // namespace nsa::daemon
