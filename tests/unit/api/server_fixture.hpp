// A server with a FakeService on a thread of its own, over a real socket in a folder of its own.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <optional>
#include <string>
#include <thread>

#include "api/client.hpp"
#include "api/server.hpp"
#include "fake_service.hpp"
#include "support/temp_dir.hpp"

namespace nsa::test {

// Runs one awaitable to its end on this thread.
template <class T>
T run_here(boost::asio::awaitable<T> awaitable) {
    boost::asio::io_context io;
    std::optional<T> out;
    auto store = [&out](std::exception_ptr exception, T value) {
        if (exception) std::rethrow_exception(exception);
        out = std::move(value);
    };
    boost::asio::co_spawn(io, std::move(awaitable), store);
    io.run();
    return std::move(out).value();
}

class ServerTest : public ::testing::Test {
  protected:
    ServerTest() : service(io.get_executor()), client(folder / "nsad.sock") {
        options.socket = folder / "nsad.sock";
        options.wait.slice = std::chrono::milliseconds{20};
    }
    ~ServerTest() override { stop(); }

    void start() {
        auto opened = api::Server::open(io.get_executor(), service, options);
        ASSERT_TRUE(opened.has_value()) << opened.error().describe();
        server = std::move(*opened);
        thread = std::thread([this] { io.run(); });
    }
    // Runs a function on the server's thread and waits for it.
    template <class F>
    auto on_server(F function) {
        std::packaged_task<decltype(function())()> task(std::move(function));
        auto result = task.get_future();
        boost::asio::post(io, [&task] { task(); });
        return result.get();
    }
    void stop() {
        if (!thread.joinable()) return;
        auto left = boost::asio::co_spawn(io, server->stop(std::chrono::seconds{5}), boost::asio::use_future);
        EXPECT_EQ(left.get(), 0U);
        thread.join();
    }

    TempDir folder;
    boost::asio::io_context io{1};
    FakeService service;
    api::ServerOptions options;
    std::unique_ptr<api::Server> server;
    api::Client client;
    std::thread thread;
};

}  // namespace nsa::test
