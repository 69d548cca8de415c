#include "api/exchange.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "api/deadline.hpp"
#include "api/unix_socket.hpp"

namespace nsa::api {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::awaitable;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

Error no_answer(milliseconds deadline, const std::filesystem::path& socket) {
    return fail(ErrorCode::kTimeout,
                "nsad did not answer within " + std::to_string(deadline.count()) + " ms; see its nsad.log",
                "socket " + socket.string());
}

// Tries again while the daemon's queue of new connections is full.
awaitable<Result<int>> connect(std::filesystem::path socket, Clock::time_point end) {
    constexpr milliseconds kPause{20};
    asio::steady_timer pause(co_await asio::this_coro::executor);
    for (;;) {
        Result<int> connected = connect_to(socket);
        if (connected || connected.error().code != ErrorCode::kTimeout || Clock::now() >= end)
            co_return connected;
        pause.expires_after(kPause);
        co_await pause.async_wait(kTuple);
    }
}

http::request<http::string_body> on_the_wire(HttpRequest request) {
    http::request<http::string_body> wire;
    wire.version(11);
    wire.method_string(request.method);
    wire.target(request.target);
    wire.set(http::field::host, "nsad");
    if (!request.content_type.empty()) wire.set(http::field::content_type, request.content_type);
    wire.keep_alive(false);
    wire.body() = std::move(request.body);
    wire.prepare_payload();
    return wire;
}

HttpResponse from_the_wire(http::response<http::string_body> wire) {
    HttpResponse response;
    response.status = static_cast<int>(wire.result_int());
    response.content_type = wire[http::field::content_type];
    response.attempt = wire["Nsa-Attempt"];
    response.next_offset = wire["Nsa-Next-Offset"];
    response.complete = wire["Nsa-Complete"];
    response.allow = wire[http::field::allow];
    response.body = std::move(wire.body());
    return response;
}

}  // namespace

awaitable<Result<HttpResponse>> exchange(std::filesystem::path path, HttpRequest request,
                                         milliseconds deadline) {
    constexpr std::uint64_t kLargestAnswer = 256U << 20;
    const Clock::time_point end = Clock::now() + deadline;
    const Result<int> connected = co_await connect(path, end);
    if (!connected) {
        if (connected.error().code == ErrorCode::kTimeout) co_return no_answer(deadline, path);
        if (connected.error().code != ErrorCode::kUnreachable) co_return connected.error();
        co_return fail(ErrorCode::kUnreachable,
                       "no nsad at " + path.string() + "; start it with `nsad` or use `nsactl run SPEC`");
    }
    LocalSocket socket(co_await asio::this_coro::executor, asio::local::stream_protocol{}, *connected);
    Deadline limit(socket);
    limit.arm(std::chrono::ceil<milliseconds>(end - Clock::now()), LocalSocket::shutdown_both);

    // A refusal may come before the request is written to its end, so the answer is read in any case.
    http::request<http::string_body> wire = on_the_wire(std::move(request));
    co_await http::async_write(socket, wire, kTuple);
    boost::beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(kLargestAnswer);
    const auto [ec, n] = co_await http::async_read(socket, buffer, parser, kTuple);
    if (!ec) co_return from_the_wire(parser.release());
    if (limit.passed()) co_return no_answer(deadline, path);
    const bool is_http_error = ec.category() == make_error_code(http::error::end_of_stream).category() &&
                               ec != http::error::end_of_stream && ec != http::error::partial_message;
    if (is_http_error)
        co_return fail(ErrorCode::kProtocol, "the answer is not HTTP: " + ec.message(), path.string());
    co_return fail(ErrorCode::kUnreachable, "nsad closed the connection before it answered; see its nsad.log",
                   "socket " + path.string());
}

}  // namespace nsa::api
