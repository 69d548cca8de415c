// The proxy itself: what it relays, and that each fault is what its name says.
#include "fault_proxy.hpp"

#include <gtest/gtest.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "support/run.hpp"

namespace nsa::faults {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using std::chrono::milliseconds;

// A server that is the test itself, a proxy in front of it, and a client connected through it.
class Relay : public ::testing::Test {
  protected:
    Relay()
        : acceptor_(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
          proxy_(thread_, acceptor_.local_endpoint().port()),
          client_(io_),
          server_(io_) {
        client_.connect({asio::ip::address_v4::loopback(), static_cast<asio::ip::port_type>(proxy_.port())});
        acceptor_.accept(server_);
    }

    void send(tcp::socket& from, const std::string& text) { asio::write(from, asio::buffer(text)); }
    // What arrives until the end or the limit; then whether it was the end.
    struct Got {
        std::string text;
        boost::system::error_code end;
        bool ended = false;
    };
    Got receive(tcp::socket& at, milliseconds limit) {
        Got got;
        std::string buffer(64U << 10, '\0');
        const auto deadline = std::chrono::steady_clock::now() + limit;
        bool reading = false;
        while (!got.ended && std::chrono::steady_clock::now() < deadline) {
            if (!std::exchange(reading, true)) {
                at.async_read_some(asio::buffer(buffer), [&](boost::system::error_code ec, std::size_t n) {
                    if (ec == asio::error::operation_aborted) return;  // our own limit
                    got.text.append(buffer, 0, n);
                    got.end = ec;
                    got.ended = ec.failed();
                    reading = false;
                });
            }
            io_.restart();
            io_.run_one_until(deadline);
        }
        at.cancel();
        io_.restart();
        io_.poll();
        return got;
    }

    asio::io_context io_{1};
    ProxyThread thread_;
    tcp::acceptor acceptor_;
    FaultProxy proxy_;
    tcp::socket client_, server_;
};

constexpr milliseconds kSoon{30'000};  // far beyond what it takes
constexpr milliseconds kNever{300};

TEST_F(Relay, PassesBothDirectionsUnchanged) {
    send(client_, "question");
    std::string question(8, '\0');
    asio::read(server_, asio::buffer(question));
    EXPECT_EQ(question, "question");
    send(server_, "answer");
    std::string answer(6, '\0');
    asio::read(client_, asio::buffer(answer));
    EXPECT_EQ(answer, "answer");
    EXPECT_EQ(proxy_.bytes_to_client(), 6U);
}

TEST_F(Relay, AFinComesAfterExactlySoManyBytes) {
    proxy_.cut_after(Cut::kClose, 70'000);
    boost::system::error_code cut;  // the server may still be sending when its connection goes
    asio::write(server_, asio::buffer(std::string(200'000, 'x')), cut);
    const Got got = receive(client_, kSoon);
    EXPECT_EQ(got.text.size(), 70'000U);
    EXPECT_EQ(got.end, asio::error::eof);
    EXPECT_EQ(proxy_.cuts(), 1);
}

TEST_F(Relay, AResetIsAReset) {
    send(server_, "x");
    std::string byte(1, '\0');
    asio::read(client_, asio::buffer(byte));
    proxy_.cut_after(Cut::kReset, 0);
    EXPECT_EQ(receive(client_, kSoon).end, asio::error::connection_reset);
}

TEST_F(Relay, AHalfOpenLinkEndsTheServerAndTellsTheClientNothing) {
    send(server_, "x");
    std::string byte(1, '\0');
    asio::read(client_, asio::buffer(byte));
    proxy_.cut_after(Cut::kHalfOpen, 0);
    EXPECT_TRUE(receive(server_, kSoon).ended);
    send(client_, "into the void");
    EXPECT_FALSE(receive(client_, kNever).ended);
}

TEST_F(Relay, ABlackHoleSwallowsEverythingAndEndsNothing) {
    proxy_.cut_after(Cut::kBlackhole, 1);
    send(server_, "x");
    std::string byte(1, '\0');
    asio::read(client_, asio::buffer(byte));
    EXPECT_EQ(byte, "x");
    send(server_, "lost");
    send(client_, "lost too");
    const Got client = receive(client_, kNever), server = receive(server_, kNever);
    EXPECT_EQ(client.text + server.text, "");
    EXPECT_FALSE(client.ended || server.ended);
    proxy_.heal();
    EXPECT_TRUE(receive(client_, kSoon).ended);
}

TEST_F(Relay, ARefusingProxyResetsNewConnections) {
    proxy_.refuse(true);
    tcp::socket another(io_);
    boost::system::error_code ignored;
    another.connect({asio::ip::address_v4::loopback(), static_cast<asio::ip::port_type>(proxy_.port())},
                    ignored);
    EXPECT_TRUE(receive(another, kSoon).ended);
}

TEST_F(Relay, ARateIsKept) {
    proxy_.set_rate(200'000);
    const auto begun = std::chrono::steady_clock::now();
    send(server_, std::string(100'000, 'x'));
    std::string all(100'000, '\0');
    asio::read(client_, asio::buffer(all));
    EXPECT_GE(std::chrono::steady_clock::now() - begun, milliseconds(400));
}

TEST_F(Relay, ADelayHoldsEveryChunkBack) {
    proxy_.set_delay(milliseconds(200));
    const auto begun = std::chrono::steady_clock::now();
    send(server_, "x");
    std::string byte(1, '\0');
    asio::read(client_, asio::buffer(byte));
    EXPECT_GE(std::chrono::steady_clock::now() - begun, milliseconds(200));
}

}  // namespace
}  // namespace nsa::faults
