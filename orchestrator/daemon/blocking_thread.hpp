// A thread for a library that blocks (SQLite, files), behind co_await. Calls run one after the other, in
// order. The caller continues on the loop's thread, whatever happened; an exception of the work comes out of
// co_await. Work that takes a std::stop_token is told by it when its caller is cancelled, and whatever it
// answers then, co_await throws operation_aborted.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <concepts>
#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

namespace nsa::daemon {

class BlockingThread {
  public:
    explicit BlockingThread(boost::asio::any_io_executor loop) : loop_(std::move(loop)) {}
    // Waits for the work that was given. Its continuations still need the loop: join() before it ends.
    ~BlockingThread() { join(); }
    void join() { pool_.join(); }

    // Work: a callable that returns a value, without arguments or with a std::stop_token. References that it
    // captures from the calling coroutine stay valid: the coroutine waits.
    template <std::invocable Work>
    boost::asio::awaitable<std::invoke_result_t<Work&>> call(Work work) {
        return perform(std::move(work), std::stop_source(std::nostopstate));
    }
    template <std::invocable<std::stop_token> Work>
    boost::asio::awaitable<std::invoke_result_t<Work&, std::stop_token>> call(Work work) {
        std::stop_source stop;
        auto told = [&work, token = stop.get_token()] { return work(token); };
        auto value = co_await perform(told, stop);
        if (stop.stop_requested()) throw boost::system::system_error(boost::asio::error::operation_aborted);
        co_return value;
    }
    // Destroys it here, after the work that was given: its destructor blocks.
    template <class T>
    void end(std::unique_ptr<T> object) {
        boost::asio::post(pool_, [object = std::move(object)]() mutable { object.reset(); });
    }

  private:
    // `stop`: what the caller's cancellation requests, if it has a state.
    template <class Work>
    boost::asio::awaitable<std::invoke_result_t<Work&>> perform(Work work, std::stop_source stop) {
        namespace asio = boost::asio;
        using Value = std::optional<std::invoke_result_t<Work&>>;
        auto initiate = [this, &stop](auto handler, Work given) {
            auto cancelled = asio::get_associated_cancellation_slot(handler);
            if (stop.stop_possible() && cancelled.is_connected())
                cancelled.assign([stop](asio::cancellation_type) mutable { stop.request_stop(); });
            // Keeps the loop's run() going until the continuation is there.
            auto loop = asio::prefer(loop_, asio::execution::outstanding_work.tracked);
            auto job = [handler = std::move(handler), given = std::move(given), loop = std::move(loop),
                        cancelled]() mutable {
                std::exception_ptr error;
                Value value;
                try {
                    value.emplace(given());
                } catch (...) {
                    error = std::current_exception();
                }
                auto go_on = [handler = std::move(handler), error, value = std::move(value),
                              cancelled]() mutable {
                    cancelled.clear();
                    std::move(handler)(error, std::move(value));
                };
                asio::post(loop, std::move(go_on));
            };
            asio::post(pool_, std::move(job));
        };
        Value value =
            co_await asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr, Value)>(
                initiate, asio::use_awaitable, std::move(work));
        co_return std::move(*value);
    }

    boost::asio::any_io_executor loop_;
    boost::asio::thread_pool pool_{1};
};

}  // namespace nsa::daemon
