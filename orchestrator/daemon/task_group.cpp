#include "daemon/task_group.hpp"

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nsa::daemon {

namespace asio = boost::asio;

struct TaskGroup::Task {
    std::string name;
    asio::cancellation_signal cancel;
};

TaskGroup::TaskGroup(asio::any_io_executor executor, OnFailure on_failure)
    : executor_(std::move(executor)), on_failure_(std::move(on_failure)) {}
TaskGroup::~TaskGroup() = default;

void TaskGroup::spawn(asio::awaitable<void> task, std::string name) {
    const auto place = tasks_.insert(tasks_.end(), std::make_unique<Task>());
    (*place)->name = std::move(name);
    auto on_end = [this, place](std::exception_ptr error) {
        const std::unique_ptr<Task> ended = std::move(*place);
        tasks_.erase(place);
        if (error) on_failure_(ended->name, error);
    };
    asio::co_spawn(executor_, std::move(task),
                   asio::bind_cancellation_slot((*place)->cancel.slot(), std::move(on_end)));
}

void TaskGroup::cancel() {
    std::vector<Task*> all;  // a task that ends meanwhile is not touched again
    for (const auto& task : tasks_)
        all.push_back(task.get());
    for (Task* task : all) {
        const bool alive =
            std::any_of(tasks_.begin(), tasks_.end(), [&](const auto& other) { return other.get() == task; });
        if (alive) task->cancel.emit(asio::cancellation_type::terminal);
    }
}

bool TaskGroup::empty() const {
    return tasks_.empty();
}

std::vector<std::string> TaskGroup::names() const {
    std::vector<std::string> names;
    for (const auto& task : tasks_)
        names.push_back(task->name);
    return names;
}

asio::awaitable<void> pause_for(std::chrono::milliseconds time) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    timer.expires_after(time);
    co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace nsa::daemon
