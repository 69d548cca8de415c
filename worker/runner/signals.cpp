#include "runner/signals.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace nsa::runner {

Result<SignalQueue> SignalQueue::open() {
    sigset_t signals{};
    ::sigemptyset(&signals);
    for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP})
        ::sigaddset(&signals, signal);
    if (::sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) return posix::errno_error(errno, "block signals");
    SignalQueue queue;
    queue.fd_.reset(::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!queue.fd_) return posix::errno_error(errno, "signalfd");
    return queue;
}

void SignalQueue::poll() {
    signalfd_siginfo info{};
    while (::read(fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        const int signal = static_cast<int>(info.ssi_signo);
        if (signal != SIGCHLD && stop_signal_ == 0) stop_signal_ = signal;
    }
}

void SignalQueue::wait(std::optional<Instant> until) {
    int timeout = -1;
    if (until) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(*until - std::chrono::steady_clock::now());
        timeout = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
    }
    pollfd ready{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    ::poll(&ready, 1, timeout);
    poll();
}

}  // namespace nsa::runner
