#include "runner/leftovers.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>

#include "posix/identity.hpp"

namespace nsa::runner {

void become_reaper() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

std::set<pid_t> own_children() {
    const std::string self = std::to_string(::getpid());
    std::istringstream list{posix::read_proc("/proc/" + self + "/task/" + self + "/children")};
    std::set<pid_t> children;
    for (pid_t pid = 0; list >> pid;)
        children.insert(pid);
    return children;
}

void kill_group(pid_t group) {
    if (group > 0) ::kill(-group, SIGKILL);  // -0 would be our own group
}

bool kill_leftovers(pid_t group, const std::set<pid_t>& spared, std::chrono::milliseconds patience) {
    const auto until = std::chrono::steady_clock::now() + patience;
    for (;;) {
        kill_group(group);
        pid_t reaped = 0;
        do {
            reaped = ::waitpid(-1, nullptr, WNOHANG);
        } while (reaped > 0);
        if (reaped < 0 && errno == ECHILD) return true;
        bool alone = true;
        for (const pid_t child : own_children()) {
            if (spared.contains(child)) continue;
            alone = false;
            ::kill(child, SIGKILL);
        }
        if (alone) return true;
        if (std::chrono::steady_clock::now() >= until) return false;
        const timespec pause{.tv_sec = 0, .tv_nsec = 1'000'000};
        ::nanosleep(&pause, nullptr);
    }
}

}  // namespace nsa::runner
