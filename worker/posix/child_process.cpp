#include "posix/child_process.hpp"

// Ends are seen by SIGCHLD: kernels before 5.3 (RHEL 8 among them) have no pidfd, and a worker needs nothing
// but a kernel.
#define BOOST_PROCESS_V2_DISABLE_PIDFD_OPEN

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/process/v2/process.hpp>

namespace nsa::posix {
namespace {

// Named by its executor, so that it is another type than the pidfd one of programs that link both.
using Process = boost::process::v2::basic_process<boost::asio::io_context::executor_type>;

// Of a child that has ended and is not reaped yet; nothing while it runs. The C library's waitid() hides the
// kernel's last argument, which reads the resources of one child without reaping it.
std::optional<rusage> usage_of_ended(pid_t pid) {
    siginfo_t info{};
    rusage usage{};
    const long failed = ::syscall(SYS_waitid, P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT, &usage);
    if (failed != 0 || info.si_pid != pid) return std::nullopt;
    return usage;
}

}  // namespace

struct ChildProcess::Wait {
    Wait(boost::asio::io_context& loop, pid_t pid) : process{loop.get_executor(), pid} {}
    // Its destructor would kill the process and wait for it, and one that survives SIGKILL for ever.
    ~Wait() { process.detach(); }
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;

    Process process;
    bool ended = false;  // seen by look(), and about to be reaped
    std::optional<Exit> exit;
};

ChildProcess::ChildProcess(std::shared_ptr<Wait> wait) : wait_{std::move(wait)} {}
ChildProcess::ChildProcess(ChildProcess&&) noexcept = default;
ChildProcess& ChildProcess::operator=(ChildProcess&&) noexcept = default;
ChildProcess::~ChildProcess() = default;

Result<ChildProcess> ChildProcess::start(boost::asio::io_context& loop, const SpawnRequest& request) {
    const auto pid = spawn(request);
    if (!pid) return pid.error();
    return ChildProcess{std::make_shared<Wait>(loop, *pid)};
}

pid_t ChildProcess::pid() const {
    return wait_->process.id();
}

void ChildProcess::look() {
    if (wait_->ended) return;
    // Before Boost.Process reaps it: then its resources are gone, and getrusage(RUSAGE_CHILDREN) only knows
    // the largest of all children so far.
    const auto usage = usage_of_ended(wait_->process.id());
    if (!usage) return;
    wait_->ended = true;
    wait_->process.async_wait([wait = wait_, peak = usage->ru_maxrss](boost::system::error_code failed, int) {
        if (failed) throw boost::system::system_error{failed, "reap a process"};  // somebody else did
        wait->exit = Exit{wait->process.native_exit_code(), peak};
    });
}

const std::optional<Exit>& ChildProcess::exit() const {
    return wait_->exit;
}

}  // namespace nsa::posix
