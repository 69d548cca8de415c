#include <utility>

#include "serve/outbox.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

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
        const auto bytes = net::buffer(writing_);
        const auto [failed, count] = co_await net::async_write(out, bytes, kAsTuple);
        if (failed) {
            broken_ = true;
            drained_.cancel();
        }
    }
}

void Outbox::close() {
    closing_ = true;
    filled_.cancel();
}

}  // namespace nsa::serve
