// The values that cross the API. No Asio here, so that code which only shows them compiles fast.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "language/ids.hpp"
#include "language/run_state.hpp"
#include "language/verdict.hpp"
#include "language/working_tree.hpp"

namespace nsa::api {

struct SubmitRequest {
    std::string spec_yaml, file;  // file: name for messages
    std::string instance;         // overrides the spec's target.instance when not empty
    std::string idempotency_key;  // same key and body: same run; same key, other body: kConflict
    std::optional<language::WorkingTree> working_tree;  // of the spec's code.repo, where code.dirty is set
    bool operator==(const SubmitRequest&) const = default;
};
struct SubmitReply {
    RunId run;
    bool existed = false;
    bool operator==(const SubmitReply&) const = default;
};

struct CaseView {
    CaseKey key;
    std::string kind, title;
    std::string state;  // "waiting", "running", "finished", "blocked"
    std::optional<language::Verdict> verdict;
    std::string reason;
    double seconds = 0;
    std::uint64_t stdout_bytes = 0, stderr_bytes = 0;  // at home so far
    bool operator==(const CaseView&) const = default;
};
struct RunView {
    RunId run;
    std::string name, subject;
    language::RunState state{};
    language::Reason reason{};
    std::string message;                     // one sentence for people: why it waits, is lost, or ended
    std::optional<language::Status> status;  // when DONE
    InstanceName instance;
    Attempt attempt;
    std::int64_t created_ms = 0, started_ms = 0, finished_ms = 0;
    std::uint64_t version = 0;    // grows with every change; see wait_run
    std::vector<CaseView> cases;  // empty in lists
    std::string report_path;      // once rendered
    bool operator==(const RunView&) const = default;
};

struct LogRequest {
    RunId run;
    CaseKey key;                    // or "setup/0": the first command of the set-up
    std::string stream = "stdout";  // or "stderr"
    Attempt attempt{0};             // whose log offset counts in; 0: the latest's
    std::uint64_t offset = 0;
    std::chrono::milliseconds wait{0};  // how long to wait for bytes beyond offset
    bool operator==(const LogRequest&) const = default;
};
struct LogChunk {
    Attempt attempt{0};  // the latest; another than the asked one: these bytes are its first
    std::string bytes;
    std::uint64_t next_offset = 0;
    bool complete = false;  // the case is over and these are its last bytes
    bool operator==(const LogChunk&) const = default;
};

struct ArtifactView {
    std::string path;  // "steps/decode/decode.csv"
    std::uint64_t size = 0;
    Sha256 sha256;
    std::string stored_at;  // absolute path on the control host
    bool operator==(const ArtifactView&) const = default;
};

struct ReportView {
    RunId run;
    int version = 1;
    std::string markdown_path, html_path, json_path;
    language::Status status{};
    bool operator==(const ReportView&) const = default;
};

struct InstanceView {
    InstanceName name;
    std::string engine, address;       // "root@1.2.3.4:22"
    std::string host_key_fingerprint;  // SHA256:...
    std::string state;                 // "unknown", "connecting", "ready", "unreachable", "refused"
    std::string message;
    std::map<std::string, std::string> facts;  // last probe
    std::int64_t probed_ms = 0;
    bool operator==(const InstanceView&) const = default;
};
struct InstanceRequest {
    InstanceName name;
    std::string engine;  // "ssh" or "local"
    std::string host, user, key_file;
    int port = 22;
    std::string
        host_key;  // "ssh-ed25519 AAAA..."; empty: nsactl asks the host and the user confirms a fingerprint
    std::string nsa_core, worker_home, tool_path;
    bool replace = false;  // false: a name that exists with other values is kConflict
    bool operator==(const InstanceRequest&) const = default;
};

struct VersionView {
    std::string version, commit, state_dir;
    std::int64_t pid = 0;
    bool operator==(const VersionView&) const = default;
};

}  // namespace nsa::api
