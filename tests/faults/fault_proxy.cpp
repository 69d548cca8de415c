#include "fault_proxy.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <optional>
#include <set>

namespace nsa::faults {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto quiet = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kChunk = 32U << 10;

struct Connection {
    explicit Connection(const asio::any_io_executor& executor) : client(executor), server(executor) {}
    tcp::socket client, server;
    bool silent = false;  // cut, and nobody is to notice: bytes vanish, ends are not passed on
};
using Held = std::shared_ptr<Connection>;

void close(tcp::socket& socket, bool reset) {
    boost::system::error_code ignored;
    if (reset) socket.set_option(asio::socket_base::linger(true, 0), ignored);
    socket.close(ignored);
}

}  // namespace

ProxyThread::ProxyThread() : work_(io_.get_executor()), thread_([this] { io_.run(); }) {}
ProxyThread::~ProxyThread() {
    io_.stop();
    thread_.join();
}

struct FaultProxy::Shared : std::enable_shared_from_this<Shared> {
    Shared(asio::io_context& context, int port)
        : io(context),
          acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
          target(asio::ip::address_v4::loopback(), static_cast<asio::ip::port_type>(port)) {}

    struct Order {
        Cut cut;
        std::uint64_t left;
    };

    void apply(Cut cut, const Held& on) {
        order.reset();
        ++cuts;
        switch (cut) {
            case Cut::kReset:
            case Cut::kClose:
                close(on->client, cut == Cut::kReset);
                return close(on->server, cut == Cut::kReset);
            case Cut::kHalfOpen:
                on->silent = true;
                return close(on->server, false);
            case Cut::kBlackhole:
                on->silent = true;
        }
    }

    asio::awaitable<void> pause(std::size_t passed, bool to_client) {
        std::chrono::microseconds wait{0};
        if (to_client) wait += delay;
        if (rate > 0) wait += std::chrono::microseconds(passed * 1'000'000 / rate);
        if (wait.count() == 0) co_return;
        asio::steady_timer timer(io, wait);
        co_await timer.async_wait(quiet);
    }

    // Bytes from one end to the other until either is gone.
    static asio::awaitable<void> pump(std::shared_ptr<Shared> self, Held held, bool to_client) {
        tcp::socket& from = to_client ? held->server : held->client;
        tcp::socket& to = to_client ? held->client : held->server;
        std::string buffer(kChunk, '\0');
        for (;;) {
            const auto [read_error, got] = co_await from.async_read_some(asio::buffer(buffer), quiet);
            if (read_error) break;
            co_await self->pause(got, to_client);
            std::size_t pass = got;
            const bool due = to_client && self->order && self->order->left <= got;
            if (due) pass = static_cast<std::size_t>(self->order->left);
            if (to_client && self->order && !due) self->order->left -= got;
            if (held->silent) continue;
            if (to_client) self->bytes += pass;
            const auto [write_error, put] =
                co_await asio::async_write(to, asio::buffer(buffer.data(), pass), quiet);
            if (due && self->order) self->apply(self->order->cut, held);
            if (write_error && !held->silent) break;
        }
        if (held->silent) co_return;
        close(held->client, false);
        close(held->server, false);
    }

    static asio::awaitable<void> relay(std::shared_ptr<Shared> self, Held held) {
        const auto [ec] = co_await held->server.async_connect(self->target, quiet);
        if (ec) co_return close(held->client, true);
        boost::system::error_code ignored;
        held->client.set_option(tcp::no_delay(true), ignored);
        held->server.set_option(tcp::no_delay(true), ignored);
        self->held.insert(held);
        asio::co_spawn(self->io, pump(self, held, true), asio::detached);
        asio::co_spawn(self->io, pump(self, held, false), asio::detached);
    }

    static asio::awaitable<void> accept(std::shared_ptr<Shared> self) {
        for (;;) {
            Held held = std::make_shared<Connection>(self->io.get_executor());
            const auto [ec] = co_await self->acceptor.async_accept(held->client, quiet);
            if (ec == asio::error::operation_aborted || !self->acceptor.is_open()) co_return;
            if (ec) continue;
            ++self->connections;
            if (self->refusing) {
                close(held->client, true);
            } else {
                asio::co_spawn(self->io, relay(self, held), asio::detached);
            }
            std::erase_if(self->held, [](const Held& one) { return !one->client.is_open(); });
        }
    }

    void cut_now(Cut cut) {
        for (const Held& one : std::set<Held>(held)) {
            if (one->client.is_open() && one->server.is_open()) apply(cut, one);
        }
    }
    void close_all() {
        for (const Held& one : held) {
            close(one->client, false);
            close(one->server, false);
        }
        held.clear();
    }

    asio::io_context& io;
    tcp::acceptor acceptor;
    const tcp::endpoint target;
    std::set<Held> held;
    std::optional<Order> order;
    bool refusing = false;
    std::chrono::milliseconds delay{0};
    std::uint64_t rate = 0;
    std::atomic<int> cuts{0}, connections{0};
    std::atomic<std::uint64_t> bytes{0};
};

FaultProxy::FaultProxy(ProxyThread& thread, int target)
    : shared_(std::make_shared<Shared>(thread.io(), target)),
      port_(shared_->acceptor.local_endpoint().port()) {
    asio::co_spawn(shared_->io, Shared::accept(shared_), asio::detached);
}

FaultProxy::~FaultProxy() {
    std::promise<void> gone;
    asio::post(shared_->io, [shared = shared_, &gone] {
        boost::system::error_code ignored;
        shared->acceptor.close(ignored);
        shared->close_all();
        gone.set_value();
    });
    gone.get_future().wait();
}

void FaultProxy::cut_after(Cut cut, std::uint64_t bytes_to_client) {
    asio::post(shared_->io, [shared = shared_, cut, bytes_to_client] {
        if (bytes_to_client == 0) return shared->cut_now(cut);
        shared->order = Shared::Order{cut, bytes_to_client};
    });
}
void FaultProxy::disarm() {
    asio::post(shared_->io, [shared = shared_] { shared->order.reset(); });
}
void FaultProxy::refuse(bool on) {
    asio::post(shared_->io, [shared = shared_, on] { shared->refusing = on; });
}
void FaultProxy::heal() {
    asio::post(shared_->io, [shared = shared_] {
        for (const Held& one : shared->held) {
            if (!one->silent) continue;
            close(one->client, true);
            close(one->server, true);
        }
    });
}
void FaultProxy::set_delay(std::chrono::milliseconds delay) {
    asio::post(shared_->io, [shared = shared_, delay] { shared->delay = delay; });
}
void FaultProxy::set_rate(std::uint64_t bytes_per_second) {
    asio::post(shared_->io, [shared = shared_, bytes_per_second] { shared->rate = bytes_per_second; });
}

int FaultProxy::cuts() const {
    return shared_->cuts;
}
int FaultProxy::connections() const {
    return shared_->connections;
}
std::uint64_t FaultProxy::bytes_to_client() const {
    return shared_->bytes;
}

}  // namespace nsa::faults
