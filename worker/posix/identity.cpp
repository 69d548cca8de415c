#include "posix/identity.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include "system/unique_fd.hpp"

namespace nsa::posix {

namespace {

std::optional<std::string> open_and_read(const std::string& path) {
    constexpr std::size_t kLimit = 4U << 20;  // /proc/pid/environ can be long; nothing read here is longer
    const UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (!fd) return std::nullopt;
    std::string text;
    std::array<char, 16384> chunk{};
    while (text.size() < kLimit) {
        const ssize_t n = ::read(fd.get(), chunk.data(), chunk.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        text.append(chunk.data(), static_cast<std::size_t>(n));
    }
    return text;
}

bool read_number(std::string_view text, std::uint64_t& out) {
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
    return failed == std::errc{} && end != text.data();
}

// By its stat from before its environment was read as empty.
bool is_amid_exec(const ProcStat& stat) {
    constexpr std::uint64_t kExiting = 0x4, kKernelThread = 0x200000;  // PF_EXITING, PF_KTHREAD
    if (stat.state == 'Z' || stat.state == 'X' || (stat.flags & (kExiting | kKernelThread)) != 0)
        return false;
    const bool has_none = stat.env_end != 0 && stat.env_start == stat.env_end;  // env -i
    return !has_none;
}

}  // namespace

std::string read_proc(const std::string& path) {
    return open_and_read(path).value_or("");
}

std::optional<ProcStat> parse_proc_stat(std::string_view text) {
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string_view::npos || name_end + 2 >= text.size()) return std::nullopt;
    std::string_view rest = text.substr(name_end + 2);
    ProcStat stat{.state = rest.front()};
    constexpr int kStateField = 3, kFlagsField = 9, kStartField = 22, kEnvStartField = 50, kEnvEndField = 51;
    bool has_start = false;
    for (int field = kStateField + 1; field <= kEnvEndField; ++field) {
        const std::size_t blank = rest.find(' ');
        if (blank == std::string_view::npos) break;
        rest.remove_prefix(blank + 1);
        if (field == kFlagsField) read_number(rest, stat.flags);
        if (field == kStartField) has_start = read_number(rest, stat.start_ticks);
        if (field == kEnvStartField) read_number(rest, stat.env_start);
        if (field == kEnvEndField) read_number(rest, stat.env_end);
    }
    if (!has_start) return std::nullopt;
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

EnvironmentScan processes_with_environment(std::string_view entry) {
    EnvironmentScan scan;
    const std::string wanted = '\0' + std::string{entry} + '\0';
    std::error_code failed;
    for (std::filesystem::directory_iterator it{"/proc", failed}, end; !failed && it != end;
         it.increment(failed)) {
        const std::string name = it->path().filename();
        pid_t pid = 0;
        const auto [last, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (bad != std::errc{} || last != name.data() + name.size() || pid == ::getpid()) continue;
        const auto stat = parse_proc_stat(read_proc("/proc/" + name + "/stat"));
        const auto environment = open_and_read("/proc/" + name + "/environ");
        if (!stat || !environment) continue;  // gone, or another user's
        if (environment->empty()) {
            scan.veiled += is_amid_exec(*stat) ? 1U : 0U;
        } else if (('\0' + *environment + '\0').find(wanted) != std::string::npos) {
            scan.found.push_back(pid);
        }
    }
    return scan;
}

}  // namespace nsa::posix
