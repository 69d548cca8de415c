// A real nsactl as a child, with a state folder of its own. Killed, if it still runs, when it goes out of
// scope.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace nsa::test {

struct Ended {
    int exit_code = -1;  // -1: by a signal
    std::string out, err;
};

class NsactlProcess {
  public:
    // dir: holds state/, artifacts/ and home/, as for NsadProcess. Standard input is empty.
    NsactlProcess(const std::filesystem::path& dir, const std::vector<std::string>& arguments);
    ~NsactlProcess();
    NsactlProcess(const NsactlProcess&) = delete;
    NsactlProcess& operator=(const NsactlProcess&) = delete;

    // Reads its stderr until the text was said; throws, with all that was said, at the limit or its end.
    void wait_until_it_says(const std::string& text,
                            std::chrono::milliseconds limit = std::chrono::seconds{60});
    void interrupt() const;  // Ctrl-C
    // Throws, with what it said, when it does not end within the limit.
    Ended end(std::chrono::milliseconds limit = std::chrono::seconds{90});

  private:
    bool read_some(std::chrono::steady_clock::time_point deadline);

    std::filesystem::path out_file_;
    pid_t pid_ = -1;
    int err_ = -1;  // read end of its stderr
    std::string said_;
};

// Runs it to its end.
Ended nsactl(const std::filesystem::path& dir, const std::vector<std::string>& arguments);

}  // namespace nsa::test
