// Who a process is. A pid alone is reused; pid + start ticks + boot id is not.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "language/result.hpp"

namespace nsa::posix {

struct ProcessIdentity {
    std::int64_t pid = 0;
    std::uint64_t start_ticks = 0;  // field 22 of /proc/pid/stat
    std::string boot_id;
    bool operator==(const ProcessIdentity&) const = default;
};

struct ProcStat {
    char state = '?';  // 'Z': dead, but not yet reaped
    std::uint64_t start_ticks = 0;
    std::uint64_t flags = 0;                   // PF_* of the kernel
    std::uint64_t env_start = 0, env_end = 0;  // where its environment is; 0: not told, or none is there yet
    bool operator==(const ProcStat&) const = default;
};

// The text of /proc/pid/stat. The second field is a program's name and may hold blanks and parentheses.
std::optional<ProcStat> parse_proc_stat(std::string_view text);

std::string boot_id();
std::string host_name();

// kNotFound when there is no such process.
Result<ProcessIdentity> identity_of(pid_t pid);

enum class Liveness { kAlive, kDead, kRebooted };
Liveness liveness_of(const ProcessIdentity& identity);

// One look at the processes of this user, whatever their session.
struct EnvironmentScan {
    std::vector<pid_t> found;  // their environment holds the entry
    // Amid an exec: the old environment is gone and the new one is not there yet, so they may be of either
    // kind.
    std::size_t veiled = 0;
    bool nothing() const { return found.empty() && veiled == 0; }
};

// For `entry` ("NSA_RUN_DIR=/root/.nsa/runs/r-1.1"): a step that daemonised itself still carries it.
EnvironmentScan processes_with_environment(std::string_view entry);

// A whole small file of /proc or /sys, which have no size; empty when it cannot be read.
std::string read_proc(const std::string& path);

}  // namespace nsa::posix
