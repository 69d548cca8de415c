#include "posix/capture.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "posix/errno_error.hpp"
#include "system/unique_fd.hpp"

namespace nsa::posix {
namespace {

using Clock = std::chrono::steady_clock;

int milliseconds_left(Clock::time_point deadline) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

// Reads to the pipe's end and keeps what is within the size limit, so that the writer never blocks. False:
// the deadline came first.
bool drain(int fd, Clock::time_point deadline, std::string& out) {
    std::array<char, 8192> chunk{};
    for (;;) {
        pollfd poll{.fd = fd, .events = POLLIN, .revents = 0};
        const int ready = ::poll(&poll, 1, milliseconds_left(deadline));
        if (ready < 0 && errno != EINTR) return true;
        if (ready <= 0) {
            if (Clock::now() >= deadline) return false;
            continue;
        }
        const ssize_t n = ::read(fd, chunk.data(), chunk.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return true;
        out.append(chunk.data(), std::min(static_cast<std::size_t>(n), kCaptureLimit - out.size()));
    }
}

std::optional<int> reap(pid_t pid, Clock::time_point deadline) {
    for (;;) {
        int status = 0;
        const pid_t done = ::waitpid(pid, &status, WNOHANG);
        if (done == pid) return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        if (done < 0 && errno != EINTR) return std::nullopt;
        if (Clock::now() >= deadline) return std::nullopt;
        const timespec pause{.tv_sec = 0, .tv_nsec = 1'000'000};
        ::nanosleep(&pause, nullptr);
    }
}

}  // namespace

Result<std::string> find_program(const std::string& name, const std::string& path) {
    if (name.find('/') != std::string::npos) return name;
    for (std::size_t start = 0; start <= path.size() && !name.empty();) {
        const std::size_t end = std::min(path.find(':', start), path.size());
        const std::string candidate = path.substr(start, end - start) + "/" + name;
        struct stat info {};
        // An empty element would mean the current folder, which here belongs to the step: skipped.
        if (end > start && ::stat(candidate.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
            ::access(candidate.c_str(), X_OK) == 0) {
            return candidate;
        }
        start = end + 1;
    }
    return fail(ErrorCode::kNotFound, "program '" + name + "' is not in PATH (" + path + ")",
                "start " + name);
}

Result<Captured> capture(const std::vector<std::string>& argv, const Environment& environment,
                         std::chrono::milliseconds deadline) {
    const auto until = Clock::now() + deadline;
    const auto path = environment.find("PATH");
    auto program = find_program(argv.front(), path == environment.end() ? "" : path->second);
    if (!program) return program.error();

    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return errno_error(errno, "pipe");
    const UniqueFd read_end{ends[0]};
    UniqueFd write_end{ends[1]};
    const SpawnRequest request{.program = *program,
                               .argv = argv,
                               .environment = environment,
                               .cwd = "/",
                               .stdout_fd = write_end.get(),
                               .stderr_fd = write_end.get()};
    const auto pid = spawn(request);
    if (!pid) return pid.error();
    write_end.reset();

    Captured captured;
    const bool closed = drain(read_end.get(), until, captured.output);
    const auto code = closed ? reap(*pid, until) : std::nullopt;
    ::kill(-*pid, SIGKILL);  // the rest of its group, or all of it
    if (!code) {
        reap(*pid, Clock::now() + std::chrono::seconds{1});
        return fail(ErrorCode::kTimeout, "did not end within " + std::to_string(deadline.count()) + " ms",
                    argv.front());
    }
    captured.exit_code = *code;
    return captured;
}

}  // namespace nsa::posix
