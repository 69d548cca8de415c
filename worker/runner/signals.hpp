// The supervisor's signals as a queue that can be waited for with a deadline.
#pragma once

#include <optional>

#include "posix/fd.hpp"
#include "runner/limits.hpp"

namespace nsa::runner {

// Blocks SIGCHLD, SIGTERM, SIGINT and SIGHUP for the process and reads them here. One thread.
class SignalQueue {
  public:
    static Result<SignalQueue> open();

    // Until a signal or the deadline.
    void wait(std::optional<Instant> until);
    // Takes what is there, without waiting.
    void poll();
    // The signal that asked this process to stop, 0: none yet.
    int stop_signal() const { return stop_signal_; }

  private:
    posix::UniqueFd fd_;
    int stop_signal_ = 0;
};

}  // namespace nsa::runner
