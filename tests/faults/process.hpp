// A program as a child: killed, if it still runs, when it goes out of scope, and by the kernel when the
// laboratory itself dies.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace nsa::faults {

struct Command {
    std::vector<std::string> argv;         // argv[0]: an absolute path
    std::vector<std::string> environment;  // all of it: "NAME=value"
    std::filesystem::path output;          // its stdout and stderr, appended
};

class Process {
  public:
    explicit Process(const Command& command);  // throws when it cannot be started
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    pid_t pid() const { return pid_; }
    long peak_kib() const;  // of memory so far; 0 when it has ended
    void signal(int number) const;
    // How it ended, as waitpid says, or nothing at the limit. After an end: the same answer again.
    std::optional<int> wait(std::chrono::milliseconds limit);
    std::optional<int> end(int number, std::chrono::milliseconds limit);  // signal, then wait

  private:
    pid_t pid_ = -1;
    std::optional<int> status_;
};

// Runs it to its end. Throws with its output's name when that is not exit status 0 within the limit.
void run_to_end(const Command& command, std::chrono::milliseconds limit);

}  // namespace nsa::faults
