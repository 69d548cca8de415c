// Runs a coroutine to its end on an io_context, or fails the test when it does not get there.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <stdexcept>

namespace nsa::test {

// Other work of the context goes on meanwhile. Rethrows what the coroutine threw. After a throw for the
// limit, the coroutine lives on in the context: destroy the context before what the coroutine refers to.
template <class T>
T run(boost::asio::io_context& io, boost::asio::awaitable<T> task,
      std::chrono::milliseconds limit = std::chrono::seconds{60}) {
    std::optional<T> value;
    std::exception_ptr thrown;
    bool done = false;
    boost::asio::co_spawn(io, std::move(task), [&](std::exception_ptr error, T result) {
        thrown = error;
        if (!error) value = std::move(result);
        done = true;
    });
    io.restart();
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!done && io.run_one_until(deadline) != 0) {
    }
    if (thrown) std::rethrow_exception(thrown);
    if (!done) throw std::runtime_error{"the coroutine did not end within its limit"};
    return *std::move(value);
}

// Lets everything run that is ready now.
inline void settle(boost::asio::io_context& io) {
    io.restart();
    io.poll();
}

}  // namespace nsa::test
