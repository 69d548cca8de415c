// Waits for the end of a child, by Boost.Process on the child's pidfd. Its only user in the orchestrator.
#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "language/result.hpp"

namespace nsa::engines {

// One thread: the executor's. Several may wait at a time.
class ChildEnd {
  public:
    // pid: a child of ours that nobody else reaps. kInternal when this kernel has no pidfd (before 5.3); the
    // child is then killed and reaped.
    static Result<ChildEnd> watch(const boost::asio::any_io_executor& executor, pid_t pid);
    ChildEnd(ChildEnd&&) noexcept;
    ChildEnd& operator=(ChildEnd&&) = delete;
    ~ChildEnd();  // one that still runs is killed and reaped

    // True once it has ended and is reaped; false when it has not within the limit. This outlives the
    // awaitable.
    boost::asio::awaitable<bool> within(std::chrono::milliseconds limit);
    // SIGKILL, when it still runs.
    void kill();
    // "exit status 1" or "signal 9"; empty while it runs.
    std::string text() const;

  private:
    struct Wait;
    explicit ChildEnd(std::shared_ptr<Wait> wait);
    std::shared_ptr<Wait> wait_;
};

}  // namespace nsa::engines
