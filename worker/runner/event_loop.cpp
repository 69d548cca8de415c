#include "runner/event_loop.hpp"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>

#include "posix/errno_error.hpp"

namespace nsa::runner {

struct EventLoop::Loop {
    explicit Loop(int signal_fd) : signals{context, signal_fd} { read_signals(); }

    // SIGCHLD only ends the wait: the step then asks whether its process was meant.
    void read_signals() {
        signals.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                           [this](boost::system::error_code stopped) {
                               if (stopped) return;
                               take_signals();
                               read_signals();
                           });
    }

    void take_signals() {
        signalfd_siginfo info{};
        while (::read(signals.native_handle(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
            const int signal = static_cast<int>(info.ssi_signo);
            if (signal != SIGCHLD && stop_signal == 0) stop_signal = signal;
        }
    }

    boost::asio::io_context context{1};
    boost::asio::posix::stream_descriptor signals;
    int stop_signal = 0;
};

EventLoop::EventLoop(std::unique_ptr<Loop> loop) : loop_{std::move(loop)} {}
EventLoop::EventLoop(EventLoop&&) noexcept = default;
EventLoop& EventLoop::operator=(EventLoop&&) noexcept = default;
EventLoop::~EventLoop() = default;

Result<EventLoop> EventLoop::open() {
    sigset_t signals{};
    ::sigemptyset(&signals);
    for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP})
        ::sigaddset(&signals, signal);
    if (::sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) return posix::errno_error(errno, "block signals");
    const int fd = ::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) return posix::errno_error(errno, "signalfd");
    return EventLoop{std::make_unique<Loop>(fd)};
}

boost::asio::io_context& EventLoop::context() {
    return loop_->context;
}

void EventLoop::wait(Instant until) {
    if (loop_->context.poll() == 0) loop_->context.run_one_until(until);
}

void EventLoop::poll() {
    loop_->context.poll();
}

int EventLoop::stop_signal() const {
    return loop_->stop_signal;
}

}  // namespace nsa::runner
