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

// Processes of this user whose environment holds `entry` ("NSA_RUN_DIR=/root/.nsa/runs/r-1.1"), whatever
// their session: a step that daemonised itself still carries it.
std::vector<pid_t> processes_with_environment(std::string_view entry);

// A whole small file of /proc or /sys, which have no size; empty when it cannot be read.
std::string read_proc(const std::string& path);

}  // namespace nsa::posix
