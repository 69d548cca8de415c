#include <utility>

#include "serve/orphans.hpp"

#include <fcntl.h>
#include <signal.h>

#include <chrono>
#include <set>
#include <string>

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
    const UniqueFd log{::openat(run_dir->get(), journal::kSupervisorLog,
                                O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!log) return;
    // A full disk: the kill stands.
    static_cast<void>(posix::write_all(log.get(), "nsa-worker: " + text + "\n", "supervisor.log"));
}

// " 42 (sleep)"
std::string in_words(pid_t pid) {
    const std::string name = posix::read_proc("/proc/" + std::to_string(pid) + "/comm");
    return " " + std::to_string(pid) + " (" + name.substr(0, name.find('\n')) + ")";
}

std::string in_words(const posix::EnvironmentScan& left) {
    std::string text =
        "gave up killing what was left of the run after " + std::to_string(kMostLooks) + " looks:";
    for (const pid_t pid : left.found)
        text += in_words(pid);
    if (left.veiled > 0) text += " " + std::to_string(left.veiled) + " that show no environment";
    return text;
}

}  // namespace

net::awaitable<posix::EnvironmentScan> hunt(std::function<posix::EnvironmentScan()> look,
                                            std::function<void(const std::vector<pid_t>&)> kill) {
    constexpr std::chrono::milliseconds kPause{5};
    for (int looks = 1;; ++looks) {
        posix::EnvironmentScan scan = look();
        if (!scan.found.empty()) kill(scan.found);
        if (scan.nothing() || looks == kMostLooks) co_return scan;
        co_await pause(kPause);
    }
}

net::awaitable<void> kill_orphans(const Home& home, protocol::RunKey run) {
    failpoint("worker.orphans.before_kill");
    const std::string entry = std::string{journal::kRunDirVariable} + "=" + home.run_path(run);
    std::set<pid_t> killed;
    auto kill = [&](const std::vector<pid_t>& found) {
        std::string whom;
        for (const pid_t pid : found) {
            const std::string words = in_words(pid);  // before it has none any more
            if (::kill(pid, SIGKILL) == 0 && killed.insert(pid).second) whom += words;
        }
        if (!whom.empty())
            leave_evidence(home, run, "found the supervisor dead, killed what was left of the run:" + whom);
    };
    const auto left = co_await hunt([&entry] { return posix::processes_with_environment(entry); }, kill);
    failpoint("worker.orphans.after_kill");
    if (!left.nothing()) leave_evidence(home, run, in_words(left));
}

}  // namespace nsa::serve
