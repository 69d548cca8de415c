#include "trial.hpp"

#include <signal.h>
#include <stdlib.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "support/wait.hpp"

namespace nsa::faults {

namespace fs = std::filesystem;

namespace {

std::string content(const fs::path& file) {
    std::ifstream in{file, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

struct Found {
    pid_t pid = 0;
    std::string command;
};

// By the environment that every process of a trial inherits; /proc of a process that has ended reads as
// empty.
std::vector<Found> processes_of(const std::vector<fs::path>& folders) {
    std::vector<Found> found;
    for (const auto& entry : fs::directory_iterator{"/proc"}) {
        const std::string name = entry.path().filename().string();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        const std::string environment = '\0' + content(entry.path() / "environ");
        const bool ours = std::any_of(folders.begin(), folders.end(), [&](const fs::path& folder) {
            const std::string home = std::string{"\0HOME=", 6} + folder.string();
            return environment.find(home + "/") != std::string::npos;
        });
        if (!ours) continue;
        std::string command = content(entry.path() / "cmdline");
        std::replace(command.begin(), command.end(), '\0', ' ');
        found.push_back({static_cast<pid_t>(std::stol(name)), std::move(command)});
    }
    return found;
}

}  // namespace

Trial::Trial(const fs::path& parent, const std::string& name, std::string replay)
    : replay_(std::move(replay)) {
    fs::create_directories(parent);
    std::string pattern = (parent / (name + "-XXXXXX")).string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"no folder like " + pattern};
    root_ = volume_ = pattern;
    folders_.push_back(root_);
    fs::create_directories(home());
}

Trial::~Trial() {
    for (const Found& one : processes_of(folders_)) {
        ::kill(one.pid, SIGKILL);
        test::wait_for_end(one.pid, std::chrono::seconds{5});
    }
    std::error_code ignored;
    if (!failed_) fs::remove_all(root_, ignored);
}

std::vector<std::string> Trial::processes() const {
    std::vector<std::string> told;
    for (const Found& one : processes_of(folders_))
        told.push_back(std::to_string(one.pid) + " " + one.command);
    return told;
}

}  // namespace nsa::faults
