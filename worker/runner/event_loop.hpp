// The supervisor's event loop: its signals and the ends of its children, waited for with a deadline.
#pragma once

#include <memory>

#include "language/result.hpp"
#include "runner/limits.hpp"

namespace boost::asio {
class io_context;
}

namespace nsa::runner {

// Blocks SIGCHLD, SIGTERM, SIGINT and SIGHUP for the process and reads them by a signalfd: a handler would
// interrupt system calls of network file systems with EINTR. One thread; to be made before any other thread.
class EventLoop {
  public:
    static Result<EventLoop> open();
    EventLoop(EventLoop&&) noexcept;
    EventLoop& operator=(EventLoop&&) noexcept;
    ~EventLoop();

    boost::asio::io_context& context();
    // Runs what is ready; when nothing is, what comes first until the deadline.
    void wait(Instant until);
    // Runs what is ready, without waiting.
    void poll();
    // The signal that asked this process to stop, 0: none yet.
    int stop_signal() const;

  private:
    struct Loop;
    explicit EventLoop(std::unique_ptr<Loop> loop);
    std::unique_ptr<Loop> loop_;
};

}  // namespace nsa::runner
