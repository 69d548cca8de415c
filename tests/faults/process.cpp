#include "process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <stdexcept>

#include "support/wait.hpp"

namespace nsa::faults {

namespace {

constexpr const char* kSetpriv = "/usr/bin/setpriv";  // util-linux
constexpr std::chrono::seconds kReap{5};

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> found;
    for (std::string& word : words)
        found.push_back(word.data());
    found.push_back(nullptr);
    return found;
}

}  // namespace

Process::Process(const Command& command) {
    std::vector<std::string> words{kSetpriv, "--pdeathsig", "KILL"};
    words.insert(words.end(), command.argv.begin(), command.argv.end());
    std::vector<std::string> variables = command.environment;
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, command.output.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
    const int rc =
        ::posix_spawn(&pid_, kSetpriv, &files, nullptr, pointers(words).data(), pointers(variables).data());
    posix_spawn_file_actions_destroy(&files);
    if (rc != 0) throw std::runtime_error{"cannot start " + command.argv.front() + ": " + std::strerror(rc)};
}

Process::~Process() {
    if (!status_) end(SIGKILL, kReap);
}

long Process::peak_kib() const {
    std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
    for (std::string word; status >> word;) {
        long kib = 0;
        if (word == "VmHWM:" && status >> kib) return kib;
    }
    return 0;
}

void Process::signal(int number) const {
    if (!status_) ::kill(pid_, number);  // not reaped: the pid is still its own
}

std::optional<int> Process::wait(std::chrono::milliseconds limit) {
    if (status_) return status_;
    if (!test::wait_for_end(pid_, limit)) return std::nullopt;
    int status = 0;
    if (::waitpid(pid_, &status, 0) == pid_) status_ = status;
    return status_;
}

std::optional<int> Process::end(int number, std::chrono::milliseconds limit) {
    signal(number);
    return wait(limit);
}

void run_to_end(const Command& command, std::chrono::milliseconds limit) {
    Process process(command);
    const std::optional<int> status = process.wait(limit);
    if (status && WIFEXITED(*status) && WEXITSTATUS(*status) == 0) return;
    throw std::runtime_error{command.argv.front() + (status ? " failed" : " did not end") + ", see " +
                             command.output.string()};
}

}  // namespace nsa::faults
