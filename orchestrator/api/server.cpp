#include "api/server.hpp"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <optional>
#include <set>

#include "api/deadline.hpp"
#include "api/json.hpp"

namespace nsa::api {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::awaitable;
using Acceptor = asio::local::stream_protocol::acceptor;
using Parser = http::request_parser<http::string_body>;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

struct Connection {
    explicit Connection(LocalSocket from) : socket(std::move(from)), deadline(socket) {}

    // True once the peer has closed its side; looks without reading.
    bool peer_is_gone() {
        char byte = 0;
        return ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    }
    void cut() {
        boost::system::error_code ignored;  // it may be closed already
        socket.shutdown(LocalSocket::shutdown_both, ignored);
    }

    LocalSocket socket;
    Deadline deadline;
    boost::beast::flat_buffer buffer;
    bool idle = false;  // between requests
};

HttpResponse refusal(int status, std::string text) {
    HttpResponse response = error_response(fail(ErrorCode::kUsage, std::move(text), "HTTP request"));
    response.status = status;
    return response;
}

http::response<http::string_body> on_the_wire(HttpResponse response, bool keep_alive) {
    http::response<http::string_body> wire{static_cast<http::status>(response.status), 11};
    wire.set(http::field::content_type, response.content_type);
    wire.set(http::field::cache_control, "no-store");
    if (!response.attempt.empty()) wire.set("Nsa-Attempt", response.attempt);
    if (!response.next_offset.empty()) wire.set("Nsa-Next-Offset", response.next_offset);
    if (!response.complete.empty()) wire.set("Nsa-Complete", response.complete);
    if (!response.allow.empty()) wire.set(http::field::allow, response.allow);
    wire.keep_alive(keep_alive);
    wire.body() = std::move(response.body);
    wire.prepare_payload();
    return wire;
}

}  // namespace

struct Server::Impl {
    Impl(asio::any_io_executor executor, Service& service, ServerOptions from)
        : options(std::move(from)),
          router(service, options.wait),
          acceptor(executor),
          backoff(executor),
          drained(executor) {}

    void close() {
        boost::system::error_code ignored;
        acceptor.close(ignored);
        backoff.cancel();
        remove_socket(file);
    }

    ServerOptions options;
    Router router;
    Acceptor acceptor;
    asio::steady_timer backoff;
    asio::steady_timer drained;  // cancelled when the last connection ends while stop() waits
    SocketFile file;
    std::set<std::shared_ptr<Connection>> connections;
    bool stopping = false;
};

namespace {

struct Received {
    std::optional<HttpRequest> request;
    std::optional<HttpResponse> refusal;  // neither: the peer is gone, nobody to answer
    bool keep_alive = false;
};

// What to tell a peer whose request could not be read; nothing when it just went away.
std::optional<HttpResponse> refusal_of(boost::system::error_code ec, bool got_some, bool timed_out) {
    if (timed_out) {
        if (!got_some) return std::nullopt;
        return refusal(408, "the request did not arrive in time");
    }
    if (ec == http::error::header_limit) return refusal(431, "the header is too large");
    if (ec == http::error::body_limit) return refusal(413, "the body is too large");
    if (ec == http::error::end_of_stream || ec == http::error::partial_message) return std::nullopt;
    if (ec.category() != make_error_code(http::error::end_of_stream).category()) return std::nullopt;
    return refusal(400, "not HTTP/1.1: " + ec.message());
}

awaitable<Received> receive(const ServerOptions& options, Connection& connection) {
    Parser parser;
    parser.header_limit(static_cast<std::uint32_t>(options.header_limit));
    parser.body_limit(options.body_limit);
    Deadline& deadline = connection.deadline;
    Received received;

    connection.idle = true;
    deadline.arm(options.header_timeout, LocalSocket::shutdown_receive);
    auto [ec, n] = co_await http::async_read_header(connection.socket, connection.buffer, parser, kTuple);
    connection.idle = false;
    // Only a length makes a body unambiguous: no chunks, so no smuggling between two readings of one request.
    if (!ec && parser.get().has_content_length() + parser.chunked() > 1)
        ec = http::error::bad_transfer_encoding;
    if (!ec && parser.chunked()) {
        received.refusal = refusal(411, "send a Content-Length; transfer codings are not taken");
        co_return received;
    }
    if (!ec && parser.get()[http::field::expect] == "100-continue") {
        http::response<http::empty_body> go_on{http::status::continue_, 11};
        deadline.arm(options.write_timeout, LocalSocket::shutdown_both);
        std::tie(ec, n) = co_await http::async_write(connection.socket, go_on, kTuple);
    }
    if (!ec) {
        deadline.arm(options.body_timeout, LocalSocket::shutdown_receive);
        std::tie(ec, n) = co_await http::async_read(connection.socket, connection.buffer, parser, kTuple);
    }
    deadline.disarm();
    if (ec) {
        received.refusal = refusal_of(ec, parser.got_some(), deadline.passed());
        co_return received;
    }
    received.keep_alive = parser.keep_alive();
    http::request<http::string_body> message = parser.release();
    HttpRequest& request = received.request.emplace();
    request.method = message.method_string();
    request.target = message.target();
    request.content_type = message[http::field::content_type];
    request.body = std::move(message.body());
    co_return received;
}

// False: the connection is of no more use.
awaitable<bool> send(const ServerOptions& options, Connection& connection, HttpResponse response,
                     bool keep_alive) {
    http::response<http::string_body> wire = on_the_wire(std::move(response), keep_alive);
    connection.deadline.arm(options.write_timeout, LocalSocket::shutdown_both);
    const auto [ec, n] = co_await http::async_write(connection.socket, wire, kTuple);
    connection.deadline.disarm();
    co_return !ec && keep_alive;
}

template <class Impl>
awaitable<void> session(std::shared_ptr<Impl> impl, std::shared_ptr<Connection> connection) {
    const std::function<bool()> wanted = [impl, connection] {
        return !impl->stopping && !connection->peer_is_gone();
    };
    for (bool more = true; more;) {
        Received received = co_await receive(impl->options, *connection);
        if (received.refusal) co_await send(impl->options, *connection, std::move(*received.refusal), false);
        if (!received.request) co_return;
        HttpResponse response = co_await impl->router.handle(std::move(*received.request), wanted);
        const bool keep_alive = received.keep_alive && !impl->stopping;
        more = co_await send(impl->options, *connection, std::move(response), keep_alive);
    }
}

// Too many connections or a stranger: one answer if the socket takes it at once, and goodbye.
void turn_away(LocalSocket socket, int status, std::string text) {
    http::response<http::string_body> wire = on_the_wire(refusal(status, std::move(text)), false);
    boost::system::error_code ignored;
    socket.non_blocking(true, ignored);
    http::write(socket, wire, ignored);
}

template <class Impl>
void welcome(const std::shared_ptr<Impl>& impl, LocalSocket socket) {
    const auto peer = peer_uid(socket.native_handle());
    if (!peer || !impl->options.allowed(*peer)) {
        turn_away(std::move(socket), 403, "this nsad serves another user");
        return;
    }
    if (impl->connections.size() >= impl->options.max_connections) {
        turn_away(std::move(socket), 503, "too many connections; try again");
        return;
    }
    auto connection = std::make_shared<Connection>(std::move(socket));
    impl->connections.insert(connection);
    const auto ended = [impl, connection](std::exception_ptr exception) {
        impl->connections.erase(connection);
        if (impl->stopping && impl->connections.empty()) impl->drained.cancel();
        if (!exception) return;
        try {
            std::rethrow_exception(exception);
        } catch (const std::exception& problem) {
            impl->options.on_problem(std::string("API session: ") + problem.what());
        }
    };
    asio::co_spawn(impl->acceptor.get_executor(), session(impl, connection), ended);
}

template <class Impl>
awaitable<void> accept_all(std::shared_ptr<Impl> impl) {
    constexpr std::chrono::milliseconds kBackoff{100};
    while (!impl->stopping && impl->acceptor.is_open()) {
        auto [ec, socket] = co_await impl->acceptor.async_accept(kTuple);
        if (!ec) {
            welcome(impl, std::move(socket));
        } else if (ec != asio::error::operation_aborted && impl->acceptor.is_open()) {
            // Out of descriptors, most likely: the next one will do better once some have been closed.
            impl->options.on_problem("API accept: " + ec.message());
            impl->backoff.expires_after(kBackoff);
            co_await impl->backoff.async_wait(kTuple);
        }
    }
}

}  // namespace

Result<std::unique_ptr<Server>> Server::open(asio::any_io_executor executor, Service& service,
                                             ServerOptions options) {
    const auto listening = listen_on(options.socket);
    if (!listening) return listening.error();
    auto impl = std::make_shared<Impl>(executor, service, std::move(options));
    impl->file = listening->file;
    impl->acceptor.assign(asio::local::stream_protocol{}, listening->fd);
    const auto report = [impl](std::exception_ptr exception) {
        if (exception) impl->options.on_problem("API: accepting ended by an exception");
    };
    asio::co_spawn(executor, accept_all(impl), report);
    return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
    impl_->stopping = true;
    impl_->close();
    for (const auto& connection : impl_->connections)
        connection->cut();
}

awaitable<std::size_t> Server::stop(std::chrono::milliseconds grace) {
    const std::shared_ptr<Impl> impl = impl_;
    impl->stopping = true;
    impl->close();
    for (const auto& connection : impl->connections)
        if (connection->idle) connection->cut();
    if (!impl->connections.empty()) {
        impl->drained.expires_after(grace);
        co_await impl->drained.async_wait(kTuple);
    }
    if (!impl->connections.empty()) {
        for (const auto& connection : impl->connections)
            connection->cut();
        impl->drained.expires_after(2 * impl->options.wait.slice);
        co_await impl->drained.async_wait(kTuple);
    }
    co_return impl->connections.size();
}

std::size_t Server::connections() const {
    return impl_->connections.size();
}

}  // namespace nsa::api
