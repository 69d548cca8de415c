// The store as the daemon uses it: on a thread of its own, and whoever waits for a run hears of its changes.
// A full disk gets the reserve, so that what runs already is recorded; a failed disk is told once.
#pragma once

#include <filesystem>
#include <functional>

#include "daemon/blocking_thread.hpp"
#include "daemon/changes.hpp"
#include "daemon/disk_reserve.hpp"
#include "store/store.hpp"

namespace nsa::daemon {

class Books {
  public:
    Books(boost::asio::any_io_executor loop, store::Store store, DiskReserve reserve)
        : store_(std::move(store)), reserve_(std::move(reserve)), thread_(loop), changes_(loop) {}

    // Called once, on the loop's thread, when the store takes no more writes for good (Store::broken).
    std::function<void(const Error&)> on_broken;

    // Work: Result<...>(store::Store&), all or nothing: after a full disk it is called again, with the
    // reserve given to the disk. Runs on the store's thread.
    template <class Work>
    boost::asio::awaitable<std::invoke_result_t<Work&, store::Store&>> read(Work work) {
        return perform(std::move(work), true);
    }
    // The same, and tells those who wait for the run.
    template <class Work>
    boost::asio::awaitable<std::invoke_result_t<Work&, store::Store&>> write(RunId run, Work work) {
        auto result = co_await perform(std::move(work), true);
        changes_.ring(run);
        co_return result;
    }
    // New work: the reserve is not for it.
    template <class Work>
    boost::asio::awaitable<std::invoke_result_t<Work&, store::Store&>> admit(RunId run, Work work) {
        auto result = co_await perform(std::move(work), false);
        changes_.ring(run);
        co_return result;
    }
    // Why nothing can be recorded any more, whatever happens outside: then nothing may be decided either.
    const std::optional<Error>& broken() const { return broken_; }
    // Nobody knows what the store holds after this: it takes no more of ours, as if its disk had failed.
    void give_up(const Error& why) {
        if (broken_) return;
        broken_ = why;
        if (on_broken) on_broken(why);
    }
    // Whether the disk has room for new work and for the files of what runs.
    bool has_room() const { return reserve_.held(); }
    // Takes the reserve back when there is space again.
    boost::asio::awaitable<bool> regain_room() {
        auto take = [this] { return reserve_.take(); };
        co_return co_await thread_.call(take);
    }

    // Before the loop runs, and after it ended: no thread is between.
    store::Store& directly() { return store_; }
    Changes& changes() { return changes_; }
    void join() { thread_.join(); }

  private:
    template <class Work>
    boost::asio::awaitable<std::invoke_result_t<Work&, store::Store&>> perform(Work work, bool with_reserve) {
        if (broken_) co_return *broken_;
        std::optional<Error> broken;
        auto attempt = [this, &broken, with_reserve, work = std::move(work)]() mutable {
            auto done = work(store_);
            const bool full = !done && done.error().code == ErrorCode::kNoSpace;
            if (full && with_reserve && reserve_.release()) done = work(store_);
            if (!done) broken = store_.broken();
            return done;
        };
        auto result = co_await thread_.call(std::move(attempt));
        if (broken) give_up(*broken);
        co_return result;
    }

    store::Store store_;
    DiskReserve reserve_;
    BlockingThread thread_;
    Changes changes_;
    std::optional<Error> broken_;  // the loop's thread sees this copy of Store::broken, or give_up's reason
};

}  // namespace nsa::daemon
