// Inside of WorkerClient: one stream, its reader and writer, and the requests in flight.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engines/worker_client.hpp"
#include "protocol/frame.hpp"

namespace nsa::engines {

class Exchange;

// Shared by the client, its two loops and every request in flight; dies with the last of them.
class WorkerConnection : public std::enable_shared_from_this<WorkerConnection> {
  public:
    WorkerConnection(boost::asio::any_io_executor executor, std::unique_ptr<ByteStream> stream,
                     std::string where);

    void start();
    // The first reason stays; every request in flight fails with it.
    void finish(Error reason);
    const std::optional<Error>& end() const { return end_; }
    const std::string& where() const { return where_; }
    // An error of one request, with the instance in front of its place.
    Error located(Error error) const;

  private:
    friend class Exchange;
    using Self = std::shared_ptr<WorkerConnection>;

    static boost::asio::awaitable<void> read_loop(Self self);
    static boost::asio::awaitable<void> write_loop(Self self);
    Result<void> dispatch(protocol::Frame frame);
    void queue(protocol::FrameType type, std::uint32_t request, std::string_view payload);
    void wake_all();

    boost::asio::any_io_executor executor_;
    std::unique_ptr<ByteStream> stream_;
    std::string where_;
    std::optional<Error> end_;
    std::string outbox_;                    // whole frames not yet given to the stream
    boost::asio::steady_timer has_output_;  // cancelled when outbox_ fills or the stream ends
    std::map<std::uint32_t, Exchange*> in_flight_;
    std::uint32_t next_request_ = 1;
};

// One request in flight, on its coroutine's frame. Registered while it lives.
class Exchange {
  public:
    // credit: data bytes that the peer may have under way for it; 0 for requests without data frames.
    explicit Exchange(std::shared_ptr<WorkerConnection> connection, std::uint64_t credit = 0);
    // An attach that is left before its answer is detached, so that the worker stops sending.
    ~Exchange();
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    void send(protocol::FrameType type, std::string_view payload);
    // Marks the exchange as an attach, see the destructor.
    void mark_attach() { is_attach_ = true; }
    // The next frame that answers; its kError is returned as error. Without a timeout: until the stream ends.
    Async<protocol::Frame> next(std::optional<Timeout> timeout);
    // Waits until little enough is queued for sending: a large put must not copy its file into memory.
    Async<> room(Timeout timeout);
    // Data that was consumed; returned to the peer in portions of a quarter of the credit.
    void give_back(std::uint64_t bytes);
    bool answered() const { return answered_; }
    bool has_answer() const { return !frames_.empty(); }

  private:
    friend class WorkerConnection;
    // False when the deadline has passed before the wait; else true, whatever ended it.
    boost::asio::awaitable<bool> wait_until(std::chrono::steady_clock::time_point deadline);
    Error timed_out(std::string_view waiting_for, Timeout timeout) const;

    std::shared_ptr<WorkerConnection> connection_;
    std::uint32_t id_;
    std::uint64_t credit_, unreturned_ = 0, buffered_ = 0;
    std::deque<protocol::Frame> frames_;
    bool is_attach_ = false;
    bool answered_ = false;  // kReply or kError was taken
    boost::asio::steady_timer wake_;
};

}  // namespace nsa::engines
