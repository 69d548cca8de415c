// What waits to be written to the client. Bounded: whoever makes data waits for room, and nobody blocks on a
// client that does not read.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <string>
#include <string_view>

#include "protocol/frame.hpp"

namespace nsa::serve {

class Outbox {
  public:
    // Data frames wait above the first mark; the session stops to read requests above the second.
    static constexpr std::size_t kDataMark = 1U << 20;
    static constexpr std::size_t kReplyMark = 8U << 20;

    explicit Outbox(boost::asio::any_io_executor executor);

    void push(protocol::FrameType type, std::uint32_t request, std::string_view payload);
    // Until less than `mark` bytes wait, or the client is gone.
    boost::asio::awaitable<void> room(std::size_t mark);
    // Writes until close() has been called and everything is out, or the client is gone. One call; `out`
    // outlives it.
    boost::asio::awaitable<void> write_to(boost::asio::posix::stream_descriptor& out);
    void close();
    bool is_broken() const { return broken_; }
    // When the client last took something.
    std::chrono::steady_clock::time_point drained_at() const { return drained_at_; }

  private:
    boost::asio::awaitable<bool> write_all(boost::asio::posix::stream_descriptor& out);

    std::string queued_, writing_;
    boost::asio::steady_timer filled_, drained_;  // used as conditions: cancel() wakes who waits
    bool closing_ = false, broken_ = false;
    std::chrono::steady_clock::time_point drained_at_ = std::chrono::steady_clock::now();
};

}  // namespace nsa::serve
