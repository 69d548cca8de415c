// A started program and its end, by Boost.Process. The only file of the worker that knows that library is
// child_process.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "language/result.hpp"
#include "posix/spawn.hpp"

namespace boost::asio {
class io_context;
}

namespace nsa::posix {

struct Exit {
    int status = 0;  // as waitpid() gives it
    // Peak of it and of what it had waited for. Never below our own: the kernel counts the moment before
    // exec.
    std::int64_t max_rss_kib = 0;
    bool operator==(const Exit&) const = default;
};

// Needs SIGCHLD blocked in every thread (runner/event_loop.hpp does it). One thread. Letting go of one that
// still runs neither kills it nor waits for it.
class ChildProcess {
  public:
    // The error of a failed exec arrives here. `loop` outlives the object.
    static Result<ChildProcess> start(boost::asio::io_context& loop, const SpawnRequest& request);
    ChildProcess(ChildProcess&&) noexcept;
    ChildProcess& operator=(ChildProcess&&) noexcept;
    ~ChildProcess();

    pid_t pid() const;
    // Asks whether it has ended; to be called after SIGCHLD. When it has, a turn of the loop later its exit()
    // is there and its pid is free.
    void look();
    const std::optional<Exit>& exit() const;

  private:
    struct Wait;
    explicit ChildProcess(std::shared_ptr<Wait> wait);
    std::shared_ptr<Wait> wait_;
};

}  // namespace nsa::posix
