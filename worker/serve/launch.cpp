#include <utility>

#include "serve/launch.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <chrono>

#include "journal/lock.hpp"
#include "journal/run_dir.hpp"
#include "journal/run_status.hpp"
#include "language/failpoint.hpp"
#include "posix/errno_error.hpp"
#include "posix/files.hpp"
#include "posix/identity.hpp"
#include "posix/spawn.hpp"
#include "serve/pause.hpp"

namespace nsa::serve {
namespace {

namespace net = boost::asio;
using Clock = std::chrono::steady_clock;

Result<UniqueFd> make_run_dir(const Home& home, const std::string& folder) {
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

// Under the launch lock, which every writer of these files holds: a temporary of one is of a launch that
// died.
Result<void> write_files(int run_dir, const protocol::Launch& request) {
    for (const char* name : {journal::kSpecFile, journal::kToolsFile, journal::kPlanFile})
        posix::remove_unfinished(run_dir, name);
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
    const UniqueFd log{::openat(run_dir, journal::kSupervisorLog,
                                O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!log) return posix::errno_error(errno, "create the supervisor's log");
    posix::SpawnRequest request;
    request.program = "/proc/self/exe";  // this binary, even when its file was replaced meanwhile
    request.argv = std::move(command);
    request.argv.push_back(path);
    request.environment = posix::own_environment();
    // Of its child amid a fork: only by this is that known as the run's when the supervisor is dead.
    request.environment[std::string{journal::kRunDirVariable}] = path;
    request.cwd = "/";
    request.stderr_fd = log.get();
    return posix::spawn(request);
}

// What to answer once the first event is in the journal; nothing: it is not. ours: the supervisor that this
// launch started, 0: none.
Result<std::optional<protocol::LaunchReply>> look_for_start(int run_dir, pid_t ours) {
    using Reply = std::optional<protocol::LaunchReply>;
    const auto status = journal::read_run_status(run_dir);
    if (!status) return status.error();
    if (!status->supervisor) return Reply{};
    // It may have been seen before it was durable.
    const auto journal = posix::open_regular(run_dir, journal::kJournalFile);
    if (!journal || ::fdatasync(journal->get()) != 0)
        return posix::errno_error(errno, "fsync of the journal");
    failpoint("worker.launch.before_reply");
    const auto& supervisor = *status->supervisor;
    return Reply{{supervisor.pid != ours, supervisor.pid, supervisor.start_ticks, supervisor.boot_id}};
}

std::string last_words(int run_dir) {
    auto text = posix::read_file(run_dir, journal::kSupervisorLog, 64U << 10);
    if (!text || text->empty()) return "it said nothing";
    constexpr std::size_t kLongest = 1000;
    return text->size() > kLongest ? text->substr(text->size() - kLongest) : *text;
}

Error not_in_time(const std::string& folder) {
    return fail(ErrorCode::kTimeout, "the supervisor's first event did not come", "launch " + folder);
}

// Until the first event is in the journal. pid: the supervisor that we started.
net::awaitable<Result<protocol::LaunchReply>> await_start(int run_dir, std::string folder, pid_t pid,
                                                          Clock::time_point deadline) {
    while (Clock::now() < deadline) {
        // Asked before the journal: a supervisor may finish and go between the two. Where ours is gone, one
        // that a killed `serve` left behind may have been first to take the lock: then its event is to come.
        const auto identity = posix::identity_of(pid);
        const bool alive = identity && posix::liveness_of(*identity) == posix::Liveness::kAlive;
        const bool lost = !alive && !journal::is_locked(run_dir, journal::kLockFile);
        const auto reply = look_for_start(run_dir, pid);
        if (!reply) co_return reply.error();
        if (*reply) co_return **reply;
        if (lost) {
            co_return fail(ErrorCode::kInternal,
                           "the supervisor ended before its first event: " + last_words(run_dir),
                           "launch " + folder);
        }
        co_await pause(std::chrono::milliseconds{1});
    }
    co_return not_in_time(folder);
}

// Nothing of the attempt has begun, and we hold its launch lock.
Result<pid_t> begin(const Home& home, int run_dir, const protocol::Launch& request,
                    SupervisorCommand command) {
    if (const auto fresh = refuse_stale(home, request.run); !fresh) return fresh.error();
    if (const auto written = write_files(run_dir, request); !written) return written.error();
    failpoint("worker.launch.before_spawn");
    auto started = start_supervisor(run_dir, home.run_path(request.run), std::move(command));
    if (started) failpoint("worker.launch.after_spawn");
    return started;
}

}  // namespace

net::awaitable<Result<protocol::LaunchReply>> launch(const Home& home, protocol::Launch request,
                                                     SupervisorCommand command) {
    const std::string folder = journal::folder_of(request.run);
    const auto run_dir = make_run_dir(home, folder);
    if (!run_dir) co_return run_dir.error();
    const int dir = run_dir->get();
    const auto deadline = Clock::now() + protocol::kLaunchTime;  // of both waits together
    while (Clock::now() < deadline) {
        const auto lock = journal::try_lock(dir, journal::kLaunchLock);
        if (!lock && lock.error().code != ErrorCode::kConflict) co_return lock.error();
        // Another launch, or a supervisor that one left behind, may be about to write the first event. It may
        // die before that as well: then the attempt is ours to begin.
        const bool ours = lock && !journal::is_locked(dir, journal::kLockFile);
        // Asked after the locks: who held one may have recorded something just before.
        const auto reply = look_for_start(dir, 0);
        if (!reply) co_return reply.error();
        if (*reply) co_return **reply;
        if (ours) {
            const auto started = begin(home, dir, request, std::move(command));
            if (!started) co_return started.error();
            co_return co_await await_start(dir, folder, *started, deadline);
        }
        co_await pause(std::chrono::milliseconds{1});
    }
    co_return not_in_time(folder);
}

}  // namespace nsa::serve
