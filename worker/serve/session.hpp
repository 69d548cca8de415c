// One client of `nsa-worker serve`: its requests, their answers and the streams under way. Single-threaded.
#pragma once

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "protocol/frame.hpp"
#include "serve/attach_pump.hpp"
#include "serve/fetch_pump.hpp"
#include "serve/launch.hpp"
#include "serve/outbox.hpp"
#include "serve/put.hpp"

namespace nsa::serve {

class Session {
  public:
    // `out` gets the answers; both outlive the coroutines that the io_context runs.
    Session(boost::asio::io_context& context, Home home, std::string version, SupervisorCommand supervisor);

    // Reads requests until the client is gone or breaks the framing (then false: the error is on its way
    // out).
    boost::asio::awaitable<bool> read_from(boost::asio::posix::stream_descriptor& in);
    Outbox& outbox() { return outbox_; }
    // When the client last sent something; while its requests wait behind answers that it does not take fast
    // enough, when it last took something. Not otherwise: a pipe takes bytes for a client that is gone.
    std::chrono::steady_clock::time_point alive_at() const {
        return held_up_ ? std::max(heard_at_, outbox_.drained_at()) : heard_at_;
    }

  private:
    // An attach or fetch under way.
    struct Stream {
        explicit Stream(boost::asio::io_context& context) : wake{context} {}
        protocol::RunKey run;
        std::uint64_t credit = 0;
        bool detached = false;
        boost::asio::steady_timer wake;  // cancelled when credit came or the client detached
    };

    void handle(protocol::Frame frame);
    void handle_hello(const protocol::Frame& frame);
    void handle_put(const protocol::Frame& frame);
    void handle_put_data(const protocol::Frame& frame);
    void finish_put(std::uint32_t request);
    void handle_attach(const protocol::Frame& frame);
    void handle_fetch(const protocol::Frame& frame);
    void handle_credit(const protocol::Frame& frame);
    void handle_run_request(const protocol::Frame& frame);
    Result<std::shared_ptr<Stream>> open_stream(std::uint32_t request, const protocol::RunKey& run,
                                                std::uint64_t credit);

    boost::asio::awaitable<void> run_probe(std::uint32_t request);
    boost::asio::awaitable<void> run_cancel(std::uint32_t request, protocol::RunKey run);
    boost::asio::awaitable<void> run_launch(std::uint32_t request, protocol::Launch launch);
    boost::asio::awaitable<void> run_attach(std::uint32_t request, std::shared_ptr<Stream> stream,
                                            AttachPump pump);
    boost::asio::awaitable<void> run_fetch(std::uint32_t request, std::shared_ptr<Stream> stream,
                                           FetchPump pump);
    void spawn(std::uint32_t request, boost::asio::awaitable<void> work);

    void reply(std::uint32_t request, std::string_view payload);
    void refuse(std::uint32_t request, const Error& error);

    boost::asio::io_context& context_;
    Home home_;
    std::string version_;
    SupervisorCommand supervisor_;
    Outbox outbox_;
    std::chrono::steady_clock::time_point heard_at_ = std::chrono::steady_clock::now();
    bool held_up_ = false;  // nothing is read from the client before it takes some of its answers
    bool greeted_ = false;
    int probes_ = 0;
    std::uint64_t upload_count_ = 0;
    std::map<std::uint32_t, Upload> uploads_;
    std::map<std::uint32_t, std::shared_ptr<Stream>> streams_;
};

}  // namespace nsa::serve
