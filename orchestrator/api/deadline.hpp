// A deadline for the operations of one stream socket. Private to this box's .cpp files.
#pragma once

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>

namespace nsa::api {

using LocalSocket = boost::asio::local::stream_protocol::socket;

// When it passes, the socket is shut down: operations in flight and all later ones end at once. (A cancel
// would miss a composed operation that is between two of its steps.) One thread; the socket must outlive it.
class Deadline {
  public:
    using What = boost::asio::socket_base::shutdown_type;

    explicit Deadline(LocalSocket& socket) : socket_(socket), timer_(socket.get_executor()) {}
    ~Deadline() { disarm(); }
    Deadline(const Deadline&) = delete;
    Deadline& operator=(const Deadline&) = delete;

    // shutdown_receive leaves the way out open, so that the peer can still be told what happened.
    void arm(std::chrono::milliseconds after, What what) {
        disarm();
        timer_.expires_after(after);
        timer_.async_wait([this, what, token = std::weak_ptr<int>(token_)](boost::system::error_code ec) {
            if (ec || token.expired()) return;  // an expired token: disarmed while this call was queued
            passed_ = true;
            socket_.shutdown(what, ec);
        });
    }
    void disarm() {
        token_ = std::make_shared<int>();
        timer_.cancel();
    }
    bool passed() const { return passed_; }

  private:
    LocalSocket& socket_;
    boost::asio::steady_timer timer_;
    std::shared_ptr<int> token_;
    bool passed_ = false;
};

}  // namespace nsa::api
