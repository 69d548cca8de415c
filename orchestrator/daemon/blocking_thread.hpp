// A thread for a library that blocks (SQLite, files), behind co_await. Calls run one after the other, in
// order. The caller continues on the loop's thread, whatever happened; an exception of the work comes out of
// co_await.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace nsa::daemon {

class BlockingThread {
  public:
    explicit BlockingThread(boost::asio::any_io_executor loop) : loop_(std::move(loop)) {}
    // Waits for the work that was given. Its continuations still need the loop: join() before it ends.
    ~BlockingThread() { join(); }
    void join() { pool_.join(); }

    // Work: a callable without arguments that returns a value. References that it captures from the calling
    // coroutine stay valid: the coroutine waits.
    template <class Work>
    boost::asio::awaitable<std::invoke_result_t<Work&>> call(Work work) {
        namespace asio = boost::asio;
        using Value = std::optional<std::invoke_result_t<Work&>>;
        auto initiate = [this](auto handler, Work given) {
            // Keeps the loop's run() going until the continuation is there.
            auto loop = asio::prefer(loop_, asio::execution::outstanding_work.tracked);
            auto job = [handler = std::move(handler), given = std::move(given),
                        loop = std::move(loop)]() mutable {
                std::exception_ptr error;
                Value value;
                try {
                    value.emplace(given());
                } catch (...) {
                    error = std::current_exception();
                }
                asio::post(loop, [handler = std::move(handler), error, value = std::move(value)]() mutable {
                    std::move(handler)(error, std::move(value));
                });
            };
            asio::post(pool_, std::move(job));
        };
        Value value =
            co_await asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr, Value)>(
                initiate, asio::use_awaitable, std::move(work));
        co_return std::move(*value);
    }

  private:
    boost::asio::any_io_executor loop_;
    boost::asio::thread_pool pool_{1};
};

}  // namespace nsa::daemon
