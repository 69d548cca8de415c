// HTTP/1.1 over a unix socket, and nothing else: there is no TCP listener. One coroutine per connection.
#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "api/router.hpp"
#include "api/unix_socket.hpp"

namespace nsa::api {

struct ServerOptions {
    std::filesystem::path socket;
    std::size_t max_connections = 256;
    std::size_t header_limit = 8U << 10;               // bytes of request line and fields
    std::size_t body_limit = 8U << 20;                 // bytes
    std::chrono::milliseconds header_timeout{10'000};  // from connect, or from the last answer
    std::chrono::milliseconds body_timeout{30'000};
    std::chrono::milliseconds write_timeout{30'000};
    WaitLimits wait;
    std::function<bool(uid_t)> allowed = may_connect;  // asked with the peer's user
    // What an operator should know: a failing accept, an exception that left a session.
    std::function<void(const std::string&)> on_problem = [](const std::string&) {};
};

class Server {
  public:
    // Binds (see listen_on: before there are other threads) and starts to accept. The executor must be served
    // by one thread. The service must outlive the connections: await stop() before it goes.
    static Result<std::unique_ptr<Server>> open(boost::asio::any_io_executor executor, Service& service,
                                                ServerOptions options);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Stops listening, lets requests in work be answered (waiting ones answer at their next slice), and after
    // `grace` cuts the rest. Returns how many connections are still inside a call of the service: 0 unless
    // the service itself hangs.
    boost::asio::awaitable<std::size_t> stop(std::chrono::milliseconds grace);

    std::size_t connections() const;

  private:
    struct Impl;
    explicit Server(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;  // shared with the sessions
};

}  // namespace nsa::api
