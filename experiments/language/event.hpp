// Run events: the numbered lines of a run's journal.jsonl, written and fsynced by the worker's supervisor,
// replicated by the daemon by sequence number. Frozen on disk: add fields, never change their meaning.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "language/ids.hpp"
#include "language/record.hpp"

namespace nsa::language {

// How a process ended.
enum class EndKind { kExited, kSignalled, kTimedOut, kSilent, kCancelled, kNotStarted };
std::string_view to_string(EndKind kind);

struct ProcessEnd {
    EndKind kind = EndKind::kExited;
    int exit_code = 0;  // kExited
    int signal = 0;     // kSignalled, or what finally killed it after a limit
    bool core_dumped = false;
    std::string detail;  // kNotStarted: why (program not found, ENOSPC, ...); limits: which and how long

    bool operator==(const ProcessEnd&) const = default;
};

// The alternatives of EventBody. kName is frozen: it is on disk.
struct RunStarted {
    static constexpr std::string_view kName = "run_started";
    std::int64_t pid = 0;           // of the supervisor
    std::uint64_t start_ticks = 0;  // field 22 of /proc/pid/stat: with boot_id, an identity that pids lack
    std::string boot_id;
    std::string host;
    std::string worker_version;
    bool operator==(const RunStarted&) const = default;
};
struct HostProbed {  // facts of the host, as probed by the worker just before the steps; never typed
    static constexpr std::string_view kName = "host_probed";
    std::map<std::string, std::string> facts;
    bool operator==(const HostProbed&) const = default;
};
struct SetupFinished {  // one per setup command
    static constexpr std::string_view kName = "setup_finished";
    int index = 0;
    ProcessEnd end;
    double seconds = 0;
    std::string title;  // as the plan of the launch names it; workers before 2026-11 wrote none
    bool operator==(const SetupFinished&) const = default;
};
struct CaseStarted {
    static constexpr std::string_view kName = "case_started";
    CaseKey key;
    std::int64_t pid = 0;
    std::vector<std::string> argv;  // as executed, tools resolved
    bool operator==(const CaseStarted&) const = default;
};
struct CaseRecords {  // a chunk, at most 256 records
    static constexpr std::string_view kName = "case_records";
    CaseKey key;
    std::vector<Record> records;
    std::vector<std::string> errors;  // lines that could not be read, with their number
    bool operator==(const CaseRecords&) const = default;
};
struct CaseFinished {
    static constexpr std::string_view kName = "case_finished";
    CaseKey key;
    ProcessEnd end;
    double seconds = 0;
    std::uint64_t stdout_bytes = 0, stderr_bytes = 0;
    std::int64_t max_rss_kib = 0;
    bool operator==(const CaseFinished&) const = default;
};
struct CaseBlocked {  // a step it needs did not pass
    static constexpr std::string_view kName = "case_blocked";
    CaseKey key;
    CaseKey by;
    bool operator==(const CaseBlocked&) const = default;
};
enum class RunEnd { kCompleted, kSetupFailed, kCancelled, kDiskFull, kWorkerError };
std::string_view to_string(RunEnd end);
struct RunFinished {
    static constexpr std::string_view kName = "run_finished";
    RunEnd end = RunEnd::kCompleted;
    std::string detail;
    Sha256 manifest;  // of manifest.json
    std::uint64_t files = 0, bytes = 0;
    bool operator==(const RunFinished&) const = default;
};

using EventBody = std::variant<RunStarted, HostProbed, SetupFinished, CaseStarted, CaseRecords, CaseFinished,
                               CaseBlocked, RunFinished>;
std::string_view name_of(const EventBody& body);  // its kName

struct Event {
    std::uint64_t seq = 0;     // from 1, without gaps
    std::int64_t wall_ms = 0;  // recorded only; ordering is by seq
    EventBody body;

    bool operator==(const Event&) const = default;
};

boost::json::value to_json(const Event& event);
Result<Event> event_from_json(const boost::json::value& value);
std::string to_line(const Event& event);  // one JSON line with the trailing newline
Result<Event> event_from_line(std::string_view line);

// manifest.json of a run: every file that comes home.
struct ManifestEntry {
    std::string path;  // relative to the run directory, checked components: steps/<dir>/stdout
    std::uint64_t size = 0;
    Sha256 sha256;
    bool operator==(const ManifestEntry&) const = default;
};
using Manifest = std::vector<ManifestEntry>;
boost::json::value to_json(const Manifest& manifest);
Result<Manifest> manifest_from_json(const boost::json::value& value);

// The folder of a case below steps/: the key with every character outside [A-Za-z0-9._-] replaced by '_' and,
// when that changed anything, "-" + 8 hex digits of the key's SHA-256, so that two keys never share one.
std::string case_folder(const CaseKey& key);

// Remote names are lists of checked components: no "", ".", "..", NUL, control character, more than 255
// bytes; no absolute path; at most 32 components.
bool is_safe_relative_path(std::string_view path);

}  // namespace nsa::language
