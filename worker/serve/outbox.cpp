#include <utility>

#include "serve/outbox.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nsa::serve {
namespace {

namespace net = boost::asio;
constexpr auto kAsTuple = net::as_tuple(net::use_awaitable);

// Woken by cancel(); the expiry only bounds the wait, as every waiter asks its condition again.
constexpr std::chrono::seconds kLongestWait{1};

}  // namespace

Outbox::Outbox(net::any_io_executor executor) : filled_{executor}, drained_{executor} {}

void Outbox::push(protocol::FrameType type, std::uint32_t request, std::string_view payload) {
    if (broken_) return;
    protocol::append_frame(queued_, type, request, payload);
    filled_.cancel();
}

net::awaitable<void> Outbox::room(std::size_t mark) {
    while (!broken_ && queued_.size() >= mark) {
        drained_.expires_after(kLongestWait);
        co_await drained_.async_wait(kAsTuple);
    }
}

net::awaitable<void> Outbox::write_to(net::posix::stream_descriptor& out) {
    while (!broken_ && !(closing_ && queued_.empty())) {
        if (queued_.empty()) {
            filled_.expires_after(kLongestWait);
            co_await filled_.async_wait(kAsTuple);
            continue;
        }
        writing_.clear();
        std::swap(writing_, queued_);
        drained_.cancel();
        const bool written = co_await write_all(out);
        if (!written) {
            broken_ = true;
            drained_.cancel();
        }
    }
}

net::awaitable<bool> Outbox::write_all(net::posix::stream_descriptor& out) {
    for (std::size_t at = 0; at < writing_.size();) {
        const auto rest = net::buffer(writing_) + at;
        const auto [failed, count] = co_await out.async_write_some(rest, kAsTuple);
        if (failed) co_return false;
        at += count;
        drained_at_ = std::chrono::steady_clock::now();
    }
    co_return true;
}

void Outbox::close() {
    closing_ = true;
    filled_.cancel();
}

}  // namespace nsa::serve
