#include "nsactl_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>

#include "support/temp_dir.hpp"

namespace nsa::test {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

NsactlProcess::NsactlProcess(const fs::path& dir, const std::vector<std::string>& arguments) {
    static std::atomic<int> count = 0;
    fs::create_directories(dir / "home");
    out_file_ = dir / ("nsactl-" + std::to_string(++count) + ".out");
    std::vector<std::string> words{NSACTL_PATH};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<std::string> variables{"HOME=" + (dir / "home").string(), "PATH=/usr/bin:/bin",
                                       "NSA_STATE_DIR=" + (dir / "state").string(),
                                       "NSA_ARTIFACTS_DIR=" + (dir / "artifacts").string()};
    std::vector<char*> argv, env;
    for (std::string& word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    for (std::string& variable : variables)
        env.push_back(variable.data());
    env.push_back(nullptr);

    int err[2];
    if (::pipe2(err, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, out_file_.c_str(), O_WRONLY | O_CREAT, 0600);
    posix_spawn_file_actions_adddup2(&files, err[1], STDERR_FILENO);
    const int rc = ::posix_spawn(&pid_, NSACTL_PATH, &files, nullptr, argv.data(), env.data());
    posix_spawn_file_actions_destroy(&files);
    ::close(err[1]);
    err_ = err[0];
    if (rc != 0) throw std::runtime_error("cannot start " NSACTL_PATH);
}

NsactlProcess::~NsactlProcess() {
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    ::close(err_);
}

bool NsactlProcess::read_some(Clock::time_point deadline) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    pollfd ready{err_, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) <= 0)
        throw std::runtime_error("nsactl took too long; it said: " + said_);
    char bytes[4096];
    const ssize_t n = ::read(err_, bytes, sizeof bytes);
    if (n > 0) said_.append(bytes, static_cast<std::size_t>(n));
    return n > 0;
}

void NsactlProcess::wait_until_it_says(const std::string& text, milliseconds limit) {
    const Clock::time_point deadline = Clock::now() + limit;
    while (said_.find(text) == std::string::npos)
        if (!read_some(deadline)) throw std::runtime_error("nsactl ended; it said: " + said_);
}

void NsactlProcess::interrupt() const {
    ::kill(pid_, SIGINT);
}

Ended NsactlProcess::end(milliseconds limit) {
    const Clock::time_point deadline = Clock::now() + limit;
    while (read_some(deadline)) {
    }
    int status = 0;
    ::waitpid(pid_, &status, 0);  // its stderr is closed: it has ended or is about to
    pid_ = -1;
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out_file_), said_};
}

Ended nsactl(const fs::path& dir, const std::vector<std::string>& arguments) {
    return NsactlProcess(dir, arguments).end();
}

}  // namespace nsa::test
