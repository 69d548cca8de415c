#include <utility>

#include "serve/launch.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>
#include <cerrno>
#include <chrono>

#include "journal/lock.hpp"
#include "journal/run_dir.hpp"
#include "journal/run_status.hpp"
#include "language/failpoint.hpp"
#include "posix/files.hpp"
#include "posix/identity.hpp"
#include "posix/spawn.hpp"

namespace nsa::serve {
namespace {

namespace net = boost::asio;
using Clock = std::chrono::steady_clock;

// A supervisor answers within milliseconds; a host under memory pressure may take longer.
constexpr std::chrono::seconds kStartDeadline{20};

net::awaitable<void> pause(std::chrono::milliseconds time) {
    net::steady_timer timer{co_await net::this_coro::executor, time};
    co_await timer.async_wait(net::as_tuple(net::use_awaitable));
}

Result<posix::UniqueFd> make_run_dir(const Home& home, const std::string& folder) {
    failpoint("worker.launch.before_mkdir");
    if (::mkdirat(home.runs(), folder.c_str(), 0700) != 0 && errno != EEXIST) {
        return posix::errno_error(errno, "make run directory " + folder);
    }
    if (const auto synced = posix::sync_dir(home.runs()); !synced) return synced.error();
    failpoint("worker.launch.after_mkdir");
    return posix::open_dir_below(home.runs(), folder, posix::Missing::kFail);
}

// The attempt is a fencing token: whoever launched a newer one has given this one up, and a launch that was
// held up on its way must not bring it to life beside that.
Result<void> refuse_stale(const Home& home, const protocol::RunKey& asked) {
    for (const auto& name : posix::list_dir(home.runs(), "")) {
        const auto other = journal::run_of_folder(name);
        if (!other || other->run != asked.run || other->attempt.value <= asked.attempt.value) continue;
        return fail(ErrorCode::kConflict,
                    "attempt " + std::to_string(asked.attempt.value) + " is stale: attempt " +
                        std::to_string(other->attempt.value) + " of this run was launched here",
                    "launch " + journal::folder_of(asked));
    }
    return {};
}

Result<void> write_files(int run_dir, const protocol::Launch& request) {
    if (auto written = posix::write_file_durably(run_dir, journal::kSpecFile, request.spec_yaml); !written) {
        return written;
    }
    boost::json::object tools;
    for (const auto& [name, path] : request.tools)
        tools[name] = path;
    const std::string tools_json = boost::json::serialize(tools) + "\n";
    if (auto written = posix::write_file_durably(run_dir, journal::kToolsFile, tools_json); !written) {
        return written;
    }
    return posix::write_file_durably(run_dir, journal::kPlanFile, request.plan_json);
}

Result<pid_t> start_supervisor(int run_dir, const std::string& path, SupervisorCommand command) {
    const posix::UniqueFd log{::openat(run_dir, journal::kSupervisorLog,
                                       O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!log) return posix::errno_error(errno, "create the supervisor's log");
    posix::SpawnRequest request;
    request.program = "/proc/self/exe";  // this binary, even when its file was replaced meanwhile
    request.argv = std::move(command);
    request.argv.push_back(path);
    request.environment = posix::own_environment();
    request.cwd = "/";
    request.stderr_fd = log.get();
    return posix::spawn(request);
}

std::optional<protocol::LaunchReply> reply_of(const journal::RunStatus& status, bool already) {
    if (!status.supervisor) return std::nullopt;
    return protocol::LaunchReply{already, status.supervisor->pid, status.supervisor->start_ticks,
                                 status.supervisor->boot_id};
}

std::string last_words(int run_dir) {
    auto text = posix::read_file(run_dir, journal::kSupervisorLog, 64U << 10);
    if (!text || text->empty()) return "it said nothing";
    constexpr std::size_t kLongest = 1000;
    return text->size() > kLongest ? text->substr(text->size() - kLongest) : *text;
}

// Until the first event is in the journal. pid: the supervisor when we started it, else 0.
net::awaitable<Result<protocol::LaunchReply>> await_start(int run_dir, std::string folder, pid_t pid) {
    const auto deadline = Clock::now() + kStartDeadline;
    for (;;) {
        // Asked before the journal: a supervisor may finish and go between the two.
        const auto identity =
            pid == 0 ? Result<posix::ProcessIdentity>{posix::ProcessIdentity{}} : posix::identity_of(pid);
        const bool gone = pid != 0 && (!identity || posix::liveness_of(*identity) != posix::Liveness::kAlive);
        const auto status = journal::read_run_status(run_dir);
        if (!status) co_return status.error();
        if (const auto reply = reply_of(*status, pid == 0)) {
            // It may have been seen before it was durable.
            const auto journal = posix::open_regular(run_dir, journal::kJournalFile);
            if (journal && ::fdatasync(journal->get()) == 0) {
                failpoint("worker.launch.before_reply");
                co_return *reply;
            }
            co_return posix::errno_error(errno, "fsync of the journal");
        }
        if (gone) {
            co_return fail(ErrorCode::kInternal,
                           "the supervisor ended before its first event: " + last_words(run_dir),
                           "launch " + folder);
        }
        if (Clock::now() >= deadline) {
            co_return fail(ErrorCode::kTimeout, "the supervisor's first event did not come",
                           "launch " + folder);
        }
        co_await pause(std::chrono::milliseconds{1});
    }
}

}  // namespace

net::awaitable<Result<protocol::LaunchReply>> launch(const Home& home, protocol::Launch request,
                                                     SupervisorCommand command) {
    const std::string folder = journal::folder_of(request.run);
    const auto run_dir = make_run_dir(home, folder);
    if (!run_dir) co_return run_dir.error();
    const int dir = run_dir->get();
    const auto status = journal::read_run_status(dir);
    if (!status) co_return status.error();
    if (const auto reply = reply_of(*status, true)) co_return *reply;

    const auto lock = journal::try_lock(dir, journal::kLaunchLock);
    const bool elsewhere = !lock && lock.error().code == ErrorCode::kConflict;
    if (!lock && !elsewhere) co_return lock.error();
    pid_t pid = 0;
    // Another launch, or a supervisor that one left behind, is about to write the first event: wait for that.
    if (!elsewhere && !journal::is_locked(dir, journal::kLockFile)) {
        if (const auto fresh = refuse_stale(home, request.run); !fresh) co_return fresh.error();
        if (const auto written = write_files(dir, request); !written) co_return written.error();
        failpoint("worker.launch.before_spawn");
        const auto started = start_supervisor(dir, home.run_path(request.run), std::move(command));
        if (!started) co_return started.error();
        failpoint("worker.launch.after_spawn");
        pid = *started;
    }
    co_return co_await await_start(dir, folder, pid);
}

}  // namespace nsa::serve
