// Who waits for a run to change, or for its log to grow. One thread; no polling.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <string>

#include "language/ids.hpp"

namespace nsa::daemon {

class Changes {
  public:
    explicit Changes(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}

    // A place in the line, taken before the caller looks at what it waits for: a change between the look and
    // the wait is not missed. Lives on the waiter's stack; must not outlive the Changes.
    class Waiter {
      public:
        Waiter(Changes& changes, RunId run);
        ~Waiter();
        Waiter(const Waiter&) = delete;
        Waiter& operator=(const Waiter&) = delete;
        // Until the run changed since the last call (or the construction), or the time is over.
        boost::asio::awaitable<void> wait_until(std::chrono::steady_clock::time_point deadline);

      private:
        friend class Changes;
        Changes& changes_;
        boost::asio::steady_timer timer_;
        bool rung_ = false;
        std::multimap<RunId, Waiter*>::iterator place_;
    };

    void ring(const RunId& run);
    // From now on nobody waits any more: every wait ends at once.
    void close();
    bool closed() const { return closed_; }

  private:
    boost::asio::any_io_executor executor_;
    std::multimap<RunId, Waiter*> waiters_;
    bool closed_ = false;
};

}  // namespace nsa::daemon
