// Every coroutine of the daemon that nobody awaits belongs to a group: it has a name in the log, its
// exception is reported, and a shutdown waits for it. One thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

namespace nsa::daemon {

class TaskGroup {
  public:
    using OnFailure = std::function<void(const std::string& name, std::exception_ptr error)>;

    TaskGroup(boost::asio::any_io_executor executor, OnFailure on_failure);
    ~TaskGroup();

    void spawn(boost::asio::awaitable<void> task, std::string name);
    // Ends every wait of every task; they see it as an exception and unwind.
    void cancel();
    bool empty() const;
    std::vector<std::string> names() const;

  private:
    struct Task;
    boost::asio::any_io_executor executor_;
    OnFailure on_failure_;
    std::list<std::unique_ptr<Task>> tasks_;
};

// Waits; ends early, by an exception, when the task is cancelled.
boost::asio::awaitable<void> pause_for(std::chrono::milliseconds time);

}  // namespace nsa::daemon
