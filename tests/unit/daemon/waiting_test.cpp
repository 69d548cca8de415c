// The pieces that coroutines wait with: changes, blocking threads, the task group.
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>

#include "daemon/blocking_thread.hpp"
#include "daemon/changes.hpp"
#include "daemon/task_group.hpp"
#include "support/run.hpp"

namespace nsa::daemon {
namespace {

namespace asio = boost::asio;
using std::chrono::hours;
using std::chrono::steady_clock;

asio::awaitable<bool> wait_long(Changes& changes, RunId run) {
    Changes::Waiter waiter(changes, run);
    co_await waiter.wait_until(steady_clock::now() + hours(1));
    co_return true;
}
asio::awaitable<bool> ring_before_the_wait(Changes& changes, RunId run) {
    Changes::Waiter waiter(changes, run);
    changes.ring(run);
    co_await waiter.wait_until(steady_clock::now() + hours(1));
    co_return true;
}

TEST(Changes, ARingBetweenTheLookAndTheWaitIsNotMissed) {
    asio::io_context io;
    Changes changes(io.get_executor());
    EXPECT_TRUE(test::run(io, ring_before_the_wait(changes, {"r"})));
}

TEST(Changes, ARingWakesTheWaitersOfThatRunOnly) {
    asio::io_context io;
    Changes changes(io.get_executor());
    int woken = 0;
    for (const char* run : {"a", "a", "b"})
        asio::co_spawn(io, wait_long(changes, {run}), [&](std::exception_ptr, bool) { ++woken; });
    test::settle(io);
    changes.ring({"a"});
    test::settle(io);
    EXPECT_EQ(woken, 2);
    changes.close();
    test::settle(io);
    EXPECT_EQ(woken, 3);
    EXPECT_TRUE(test::run(io, wait_long(changes, {"c"}))) << "after the close nobody waits";
}

asio::awaitable<bool> work_elsewhere(BlockingThread& thread) {
    const std::thread::id here = std::this_thread::get_id();
    auto where = [] { return std::this_thread::get_id(); };
    const std::thread::id there = co_await thread.call(where);
    co_return there != here&& std::this_thread::get_id() == here;
}
asio::awaitable<int> work_that_throws(BlockingThread& thread) {
    auto work = []() -> int { throw std::runtime_error("no"); };
    co_return co_await thread.call(work);
}

TEST(BlockingThread, WorksOnItsOwnThreadAndGoesOnHere) {
    asio::io_context io;
    BlockingThread thread(io.get_executor());
    EXPECT_TRUE(test::run(io, work_elsewhere(thread)));
}

TEST(BlockingThread, AnExceptionOfTheWorkReachesTheCaller) {
    asio::io_context io;
    BlockingThread thread(io.get_executor());
    EXPECT_THROW(test::run(io, work_that_throws(thread)), std::runtime_error);
}

asio::awaitable<void> work_until_told(BlockingThread& thread, std::atomic<bool>& begun, bool& told) {
    auto work = [&begun, &told](std::stop_token stop) {
        std::mutex mutex;
        std::unique_lock lock(mutex);
        std::condition_variable_any change;
        begun = true;
        // What nobody tells in this time is a failure of the test, not its hang.
        (void)change.wait_for(lock, stop, std::chrono::seconds(20), [] { return false; });
        told = stop.stop_requested();
        return 0;
    };
    (void)co_await thread.call(work);
    ADD_FAILURE() << "goes on with what work that was stopped answers";
}

TEST(BlockingThread, WorkIsToldWhenItsCallerIsCancelledAndItsAnswerIsNoneThen) {
    asio::io_context io;
    std::atomic<bool> begun = false;
    bool told = false;
    BlockingThread thread(io.get_executor());
    TaskGroup tasks(io.get_executor(), [](const std::string&, std::exception_ptr) {});
    tasks.spawn(work_until_told(thread, begun, told), "copy");
    while (!begun)
        test::settle(io);
    tasks.cancel();
    io.restart();
    io.run();
    EXPECT_TRUE(told);
    EXPECT_TRUE(tasks.empty());
}

struct Ended {
    ~Ended() { at = std::this_thread::get_id(); }
    std::thread::id& at;
};

TEST(BlockingThread, EndsWhatItIsGivenBehindItsWorkWhileTheCallerGoesOn) {
    asio::io_context io;
    BlockingThread thread(io.get_executor());
    std::mutex held;
    std::unique_lock busy(held);
    std::vector<std::string> order;
    auto work = [&]() -> asio::awaitable<void> {
        auto wait = [&] {
            const std::lock_guard free(held);
            order.emplace_back("work");
            return 0;
        };
        co_await thread.call(wait);
    };
    asio::co_spawn(io, work, asio::detached);
    test::settle(io);
    std::thread::id at;
    thread.end(std::unique_ptr<Ended>(new Ended{at}));
    order.emplace_back("goes on");
    busy.unlock();
    thread.join();
    EXPECT_EQ(order, (std::vector<std::string>{"goes on", "work"}));
    EXPECT_NE(at, std::thread::id()) << "it has ended";
    EXPECT_NE(at, std::this_thread::get_id());
    io.restart();
    io.run();
}

asio::awaitable<void> sleep_long() {
    co_await pause_for(hours(1));
}
asio::awaitable<void> throw_at_once() {
    throw std::logic_error("a bug");
    co_return;
}

TEST(TaskGroup, ReportsAnExceptionWithTheTasksName) {
    asio::io_context io;
    std::vector<std::string> failed;
    TaskGroup tasks(io.get_executor(),
                    [&](const std::string& name, std::exception_ptr) { failed.push_back(name); });
    tasks.spawn(throw_at_once(), "bad");
    test::settle(io);
    EXPECT_EQ(failed, std::vector<std::string>{"bad"});
    EXPECT_TRUE(tasks.empty());
}

TEST(TaskGroup, CancelEndsEveryWait) {
    asio::io_context io;
    TaskGroup tasks(io.get_executor(), [](const std::string&, std::exception_ptr) {});
    tasks.spawn(sleep_long(), "one");
    tasks.spawn(sleep_long(), "two");
    test::settle(io);
    EXPECT_EQ(tasks.names(), (std::vector<std::string>{"one", "two"}));
    tasks.cancel();
    test::settle(io);
    EXPECT_TRUE(tasks.empty());
}

}  // namespace
}  // namespace nsa::daemon
