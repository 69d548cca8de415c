#include <utility>

#include "serve/control.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "journal/run_dir.hpp"
#include "journal/run_status.hpp"
#include "language/failpoint.hpp"
#include "posix/errno_error.hpp"
#include "posix/files.hpp"
#include "posix/identity.hpp"
#include "serve/orphans.hpp"

namespace nsa::serve {
namespace {

using protocol::RemoteState;

Result<journal::RunStatus> status_of(const Home& home, const protocol::RunKey& run) {
    const auto run_dir = home.open_run(run);
    if (!run_dir && run_dir.error().code == ErrorCode::kNotFound) return journal::RunStatus{};
    if (!run_dir) return run_dir.error();
    return journal::read_run_status(run_dir->get());
}

Result<void> leave_cancel_file(const Home& home, const protocol::RunKey& run) {
    const auto run_dir = home.open_run(run);
    if (!run_dir) return run_dir.error();
    const UniqueFd file{
        ::openat(run_dir->get(), journal::kCancelFile, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!file) return posix::errno_error(errno, "cancel " + journal::folder_of(run));
    return posix::sync_dir(run_dir->get());
}

}  // namespace

Result<RemoteState> run_state(const Home& home, const protocol::RunKey& run) {
    const auto status = status_of(home, run);
    if (!status) return status.error();
    return status->state;
}

boost::asio::awaitable<Result<protocol::CancelReply>> cancel(const Home& home, protocol::RunKey run) {
    const auto status = status_of(home, run);
    if (!status) co_return status.error();
    if (status->state == RemoteState::kSupervisorDead) co_await kill_orphans(home, run);
    if (status->state != RemoteState::kRunning) co_return protocol::CancelReply{status->state};
    failpoint("worker.cancel.before_file");
    if (const auto left = leave_cancel_file(home, run); !left) co_return left.error();
    failpoint("worker.cancel.after_file");
    // On another host the supervisor finds the file before its next step; on this one it is told now.
    const auto& supervisor = status->supervisor;
    const bool is_it = supervisor && posix::liveness_of({supervisor->pid, supervisor->start_ticks,
                                                         supervisor->boot_id}) == posix::Liveness::kAlive;
    if (is_it) ::kill(static_cast<pid_t>(supervisor->pid), SIGTERM);
    co_return protocol::CancelReply{RemoteState::kRunning};
}

std::vector<protocol::RunListing> list_runs(const Home& home) {
    constexpr std::size_t kMost = 20'000;  // what fits one reply
    std::vector<protocol::RunListing> runs;
    std::error_code failed;
    const std::filesystem::path folder = home.path() + "/" + std::string{journal::kRunsFolder};
    for (std::filesystem::directory_iterator it{folder, failed}, end; !failed && it != end;
         it.increment(failed)) {
        const auto run = journal::run_of_folder(it->path().filename().string());
        if (!run) continue;
        const auto status = status_of(home, *run);
        if (!status || status->state == RemoteState::kFinished) continue;
        runs.push_back({*run, status->state, status->last_seq});
    }
    const auto rank = [](const protocol::RunListing& one) {
        return std::pair(one.state != RemoteState::kRunning, one.run);
    };
    std::sort(runs.begin(), runs.end(), [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    if (runs.size() > kMost) runs.resize(kMost);
    return runs;
}

}  // namespace nsa::serve
