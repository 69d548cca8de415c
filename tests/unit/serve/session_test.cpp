// When a client counts as alive: by what it sends, and where its requests wait behind its answers, by what it
// takes.
#include "serve/session.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "support/run.hpp"
#include "support/temp_dir.hpp"

namespace nsa::serve {
namespace {

namespace net = boost::asio;

struct Pipe {
    Pipe() {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
        out = ends[0];
        in = ends[1];
    }
    int out, in;
};

struct SessionTest : testing::Test {
    test::TempDir dir;
    net::io_context io;
    Pipe requests, answers;
    net::posix::stream_descriptor in{io, requests.out}, out{io, answers.in};
    Session session{io, Home::open(dir.path().string()).value(), "test", {}};

    SessionTest() {
        net::co_spawn(io, session.read_from(in), net::detached);
        net::co_spawn(io, session.outbox().write_to(out), net::detached);
    }
    ~SessionTest() override {
        ::close(requests.in);
        ::close(answers.out);
    }
    // Sends requests until nobody reads them any more; they are as many as the pipes and the outbox hold.
    void ask_without_reading() {
        std::string hello;
        protocol::append_frame(hello, protocol::FrameType::kHello, 1, protocol::encode(protocol::Hello{}));
        std::string many;
        while (many.size() + hello.size() <= PIPE_BUF)
            many += hello;
        while (::write(requests.in, many.data(), many.size()) > 0)
            test::settle(io);
    }
    std::size_t take() {
        std::string bytes(64U << 10, '\0');
        const ssize_t got = ::read(answers.out, bytes.data(), bytes.size());
        test::settle(io);
        return got > 0 ? static_cast<std::size_t>(got) : 0;
    }
};

TEST_F(SessionTest, AClientWhoseRequestsWaitBehindItsAnswersLivesByWhatItTakes) {
    ask_without_reading();
    const auto silent = session.alive_at();
    test::settle(io);
    EXPECT_EQ(session.alive_at(), silent) << "it sends nothing that is read, and takes nothing";
    ASSERT_GT(take(), 0U);
    EXPECT_GT(session.alive_at(), silent);
}

TEST_F(SessionTest, WhatAPipeTakesForAClientThatIsGoneIsNoSignOfLife) {
    test::settle(io);
    const auto heard = session.alive_at();
    session.outbox().push(protocol::FrameType::kLog, 1, "a line of a job that goes on");
    test::settle(io);
    EXPECT_GT(take(), 0U);
    EXPECT_EQ(session.alive_at(), heard);
}

}  // namespace
}  // namespace nsa::serve
