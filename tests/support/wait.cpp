#include "support/wait.hpp"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

namespace nsa::test {
namespace {

using Clock = std::chrono::steady_clock;

bool wait_readable(int fd, Clock::time_point deadline) {
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        pollfd entry{fd, POLLIN, 0};
        const int rc = ::poll(&entry, 1, static_cast<int>(std::max<long>(left, 0)));
        if (rc > 0) return true;
        if (rc == 0) return false;
        if (errno != EINTR) throw std::runtime_error{"poll failed"};
    }
}

bool has_content(const std::filesystem::path& path) {
    std::error_code none;
    const auto size = std::filesystem::file_size(path, none);
    return !none && size > 0;
}

}  // namespace

bool wait_for_file(const std::filesystem::path& path, std::chrono::milliseconds limit) {
    const auto deadline = Clock::now() + limit;
    const int events = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (events < 0 || ::inotify_add_watch(events, path.parent_path().c_str(),
                                          IN_CREATE | IN_MOVED_TO | IN_MODIFY | IN_CLOSE_WRITE) < 0) {
        throw std::runtime_error{"cannot watch " + path.parent_path().string()};
    }
    bool found = has_content(path);  // looked at after the watch was set, so that nothing falls between
    while (!found && wait_readable(events, deadline)) {
        char buffer[4096];
        while (::read(events, buffer, sizeof buffer) > 0) {
        }
        found = has_content(path);
    }
    ::close(events);
    return found;
}

bool wait_for_end(pid_t pid, std::chrono::milliseconds limit) {
    const int process = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (process < 0) return true;
    const bool ended = wait_readable(process, Clock::now() + limit);
    ::close(process);
    return ended;
}

}  // namespace nsa::test
