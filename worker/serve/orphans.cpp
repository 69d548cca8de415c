#include <utility>

#include "serve/orphans.hpp"

#include <fcntl.h>
#include <signal.h>

#include <chrono>
#include <map>

#include "journal/run_dir.hpp"
#include "language/failpoint.hpp"
#include "posix/files.hpp"
#include "serve/pause.hpp"

namespace nsa::serve {
namespace {

namespace net = boost::asio;

// Only the supervisor writes the journal, also when it is dead: its log says what became of what it left.
void leave_evidence(const Home& home, const protocol::RunKey& run, const std::string& text) {
    const auto run_dir = home.open_run(run);
    if (!run_dir) return;
    const posix::UniqueFd log{::openat(run_dir->get(), journal::kSupervisorLog,
                                       O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!log) return;
    // A full disk: the kill stands.
    static_cast<void>(posix::write_all(log.get(), "nsa-worker: " + text + "\n", "supervisor.log"));
}

std::string name_of(pid_t pid) {
    const std::string name = posix::read_proc("/proc/" + std::to_string(pid) + "/comm");
    return name.substr(0, name.find('\n'));
}

std::string in_words(const posix::EnvironmentScan& left) {
    std::string pids;
    for (const pid_t pid : left.found)
        pids += " " + std::to_string(pid) + " (" + name_of(pid) + ")";
    return "gave up killing what was left of the run after " + std::to_string(kMostLooks) + " looks:" + pids +
           (left.veiled == 0 ? "" : " " + std::to_string(left.veiled) + " that show no environment");
}

}  // namespace

net::awaitable<posix::EnvironmentScan> hunt(std::function<posix::EnvironmentScan()> look,
                                            std::function<void(pid_t)> kill) {
    constexpr std::chrono::milliseconds kPause{5};
    for (int looks = 1;; ++looks) {
        posix::EnvironmentScan scan = look();
        for (const pid_t pid : scan.found)
            kill(pid);
        if (scan.nothing() || looks == kMostLooks) co_return scan;
        co_await pause(kPause);
    }
}

net::awaitable<void> kill_orphans(const Home& home, protocol::RunKey run) {
    failpoint("worker.orphans.before_kill");
    const std::string entry = std::string{journal::kRunDirVariable} + "=" + home.run_path(run);
    std::map<pid_t, std::string> killed;
    const auto left = co_await hunt([&entry] { return posix::processes_with_environment(entry); },
                                    [&killed](pid_t pid) {
                                        const std::string name = name_of(pid);
                                        if (::kill(pid, SIGKILL) == 0) killed.emplace(pid, name);
                                    });
    failpoint("worker.orphans.after_kill");
    std::string whom;
    for (const auto& [pid, name] : killed)
        whom += " " + std::to_string(pid) + " (" + name + ")";
    if (!whom.empty())
        leave_evidence(home, run, "found the supervisor dead, killed what was left of the run:" + whom);
    if (!left.nothing()) leave_evidence(home, run, in_words(left));
}

}  // namespace nsa::serve
