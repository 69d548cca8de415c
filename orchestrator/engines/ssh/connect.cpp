#include "engine_ssh/connect.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>

namespace nsa::engines {
namespace asio = boost::asio;
namespace {

using asio::ip::tcp;
constexpr auto quiet = asio::as_tuple(asio::use_awaitable);

// Shared with the deadline's handler, which may run after the coroutine is gone.
struct Attempt {
    explicit Attempt(const asio::any_io_executor& executor)
        : resolver(executor), socket(executor), timer(executor) {}
    tcp::resolver resolver;
    tcp::socket socket;
    asio::steady_timer timer;
    bool expired = false;
};

}  // namespace

asio::awaitable<Result<UniqueFd>> connect_tcp(std::string host, int port, std::chrono::milliseconds limit,
                                              std::string where) {
    const auto attempt = std::make_shared<Attempt>(co_await asio::this_coro::executor);
    attempt->timer.expires_after(limit);
    attempt->timer.async_wait([weak = std::weak_ptr{attempt}](boost::system::error_code ec) {
        const auto late = weak.lock();
        if (ec || !late) return;
        late->expired = true;
        late->resolver.cancel();
        boost::system::error_code ignored;
        late->socket.close(ignored);
    });
    const auto timed_out = [&] {
        return fail(ErrorCode::kTimeout, "no answer within " + std::to_string(limit.count()) + " ms", where);
    };

    const std::string service = std::to_string(port);
    const auto [no_name, addresses] = co_await attempt->resolver.async_resolve(host, service, quiet);
    if (attempt->expired) co_return timed_out();
    if (no_name)
        co_return fail(ErrorCode::kUnreachable, "the name cannot be resolved: " + no_name.message(), where);
    const auto [refused, endpoint] = co_await asio::async_connect(attempt->socket, addresses, quiet);
    if (attempt->expired) co_return timed_out();
    if (refused) co_return fail(ErrorCode::kUnreachable, "cannot connect: " + refused.message(), where);
    co_return UniqueFd{attempt->socket.release()};
}

}  // namespace nsa::engines
