#include "daemon/changes.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nsa::daemon {

namespace asio = boost::asio;

Changes::Waiter::Waiter(Changes& changes, RunId run)
    : changes_(changes), timer_(changes.executor_), place_(changes.waiters_.emplace(std::move(run), this)) {}

Changes::Waiter::~Waiter() {
    changes_.waiters_.erase(place_);
}

asio::awaitable<void> Changes::Waiter::wait_until(std::chrono::steady_clock::time_point deadline) {
    if (!rung_ && !changes_.closed()) {
        timer_.expires_at(deadline);
        constexpr auto kQuiet = asio::as_tuple(asio::use_awaitable);
        (void)co_await timer_.async_wait(kQuiet);  // rung, or over: the caller looks again either way
    }
    rung_ = false;
}

void Changes::ring(const RunId& run) {
    const auto [begin, end] = waiters_.equal_range(run);
    for (auto place = begin; place != end; ++place) {
        place->second->rung_ = true;
        place->second->timer_.cancel();
    }
}

void Changes::close() {
    closed_ = true;
    for (const auto& [run, waiter] : waiters_) {
        waiter->rung_ = true;
        waiter->timer_.cancel();
    }
}

}  // namespace nsa::daemon
