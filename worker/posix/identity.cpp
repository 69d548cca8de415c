#include "posix/identity.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include "posix/fd.hpp"

namespace nsa::posix {

std::string read_proc(const std::string& path) {
    constexpr std::size_t kLimit = 4U << 20;  // /proc/pid/environ can be long; nothing read here is longer
    const UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    std::string text;
    std::array<char, 16384> chunk{};
    while (fd && text.size() < kLimit) {
        const ssize_t n = ::read(fd.get(), chunk.data(), chunk.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        text.append(chunk.data(), static_cast<std::size_t>(n));
    }
    return text;
}

std::optional<ProcStat> parse_proc_stat(std::string_view text) {
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string_view::npos || name_end + 2 >= text.size()) return std::nullopt;
    std::string_view rest = text.substr(name_end + 2);
    ProcStat stat{.state = rest.front()};
    constexpr int kStateField = 3, kStartField = 22;
    for (int field = kStateField; field < kStartField; ++field) {
        const std::size_t blank = rest.find(' ');
        if (blank == std::string_view::npos) return std::nullopt;
        rest.remove_prefix(blank + 1);
    }
    const auto [end, failed] = std::from_chars(rest.data(), rest.data() + rest.size(), stat.start_ticks);
    if (failed != std::errc{} || end == rest.data()) return std::nullopt;
    return stat;
}

std::string host_name() {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
    return name.data();
}

Result<ProcessIdentity> identity_of(pid_t pid) {
    const auto stat = parse_proc_stat(read_proc("/proc/" + std::to_string(pid) + "/stat"));
    if (!stat)
        return fail(ErrorCode::kNotFound, "there is no such process", "process " + std::to_string(pid));
    return ProcessIdentity{pid, stat->start_ticks, boot_id()};
}

Liveness liveness_of(const ProcessIdentity& identity) {
    if (identity.boot_id != boot_id()) return Liveness::kRebooted;
    const auto stat = parse_proc_stat(read_proc("/proc/" + std::to_string(identity.pid) + "/stat"));
    const bool alive =
        stat && stat->start_ticks == identity.start_ticks && stat->state != 'Z' && stat->state != 'X';
    return alive ? Liveness::kAlive : Liveness::kDead;
}

std::vector<pid_t> processes_with_environment(std::string_view entry) {
    std::vector<pid_t> found;
    std::error_code failed;
    for (std::filesystem::directory_iterator it{"/proc", failed}, end; !failed && it != end;
         it.increment(failed)) {
        const std::string name = it->path().filename();
        pid_t pid = 0;
        const auto [last, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (bad != std::errc{} || last != name.data() + name.size() || pid == ::getpid()) continue;
        const std::string environment = '\0' + read_proc("/proc/" + name + "/environ") + '\0';
        if (environment.find('\0' + std::string{entry} + '\0') != std::string::npos) found.push_back(pid);
    }
    return found;
}

}  // namespace nsa::posix
