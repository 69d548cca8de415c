// The store as the daemon uses it: on a thread of its own, and whoever waits for a run hears of its changes.
#pragma once

#include <filesystem>

#include "daemon/blocking_thread.hpp"
#include "daemon/changes.hpp"
#include "store/store.hpp"

namespace nsa::daemon {

class Books {
  public:
    Books(boost::asio::any_io_executor loop, store::Store store)
        : store_(std::move(store)), thread_(loop), changes_(loop) {}

    // Work: Result<...>(store::Store&). Runs on the store's thread.
    template <class Work>
    auto read(Work work) {
        return thread_.call([this, work = std::move(work)]() mutable { return work(store_); });
    }
    // The same, and tells those who wait for the run.
    template <class Work>
    boost::asio::awaitable<std::invoke_result_t<Work&, store::Store&>> write(RunId run, Work work) {
        auto result =
            co_await thread_.call([this, work = std::move(work)]() mutable { return work(store_); });
        changes_.ring(run);
        co_return result;
    }

    // Before the loop runs, and after it ended: no thread is between.
    store::Store& directly() { return store_; }
    Changes& changes() { return changes_; }
    void join() { thread_.join(); }

  private:
    store::Store store_;
    BlockingThread thread_;
    Changes changes_;
};

}  // namespace nsa::daemon
