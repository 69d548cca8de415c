// What the API offers, independent of HTTP: implemented by the daemon, called by the server in-process and,
// over the unix socket, by nsactl through api/client.hpp with the same interface. Values only cross it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "language/event.hpp"
#include "language/ids.hpp"
#include "language/result.hpp"
#include "language/run_state.hpp"
#include "language/verdict.hpp"

namespace nsa::api {

struct SubmitRequest {
    std::string spec_yaml, file;  // file: name for messages
    std::string instance;         // overrides the spec's target.instance when not empty
    std::string idempotency_key;  // same key and body: same run; same key, other body: kConflict
};
struct SubmitReply {
    RunId run;
    bool existed = false;
};

struct CaseView {
    CaseKey key;
    std::string kind, title;
    std::string state;                        // "waiting", "running", "finished", "blocked"
    std::optional<language::Verdict> verdict;
    std::string reason;
    double seconds = 0;
    std::uint64_t stdout_bytes = 0, stderr_bytes = 0;  // at home so far
};
struct RunView {
    RunId run;
    std::string name, subject;
    language::RunState state{};
    language::Reason reason{};
    std::string message;  // one sentence for people: why it waits, is lost, or ended
    std::optional<language::Status> status;  // when DONE
    InstanceName instance;
    Attempt attempt;
    std::int64_t created_ms = 0, started_ms = 0, finished_ms = 0;
    std::uint64_t version = 0;  // grows with every change; see wait_run
    std::vector<CaseView> cases;  // empty in lists
    std::string report_path;      // once rendered
};

struct LogRequest {
    RunId run;
    CaseKey key;
    std::string stream = "stdout";  // or "stderr"
    std::uint64_t offset = 0;
    std::chrono::milliseconds wait{0};  // how long to wait for bytes beyond offset
};
struct LogChunk {
    std::string bytes;
    std::uint64_t next_offset = 0;
    bool complete = false;  // the case is over and these are its last bytes
};

struct ArtifactView {
    std::string path;  // "steps/decode/decode.csv"
    std::uint64_t size = 0;
    Sha256 sha256;
    std::string stored_at;  // absolute path on the control host
};

struct ReportView {
    RunId run;
    int version = 1;
    std::string markdown_path, html_path, json_path;
    language::Status status{};
};

struct InstanceView {
    InstanceName name;
    std::string engine, address;  // "root@1.2.3.4:22"
    std::string host_key_fingerprint;  // SHA256:...
    std::string state;                 // "unknown", "connecting", "ready", "unreachable", "refused"
    std::string message;
    std::map<std::string, std::string> facts;  // last probe
    std::int64_t probed_ms = 0;
};
struct InstanceRequest {
    InstanceName name;
    std::string engine;  // "ssh" or "local"
    std::string host, user, key_file;
    int port = 22;
    std::string host_key;  // "ssh-ed25519 AAAA..."; empty: nsactl asks the host and the user confirms a fingerprint
    std::string nsa_core, worker_home;
};

struct VersionView {
    std::string version, commit, state_dir;
    std::int64_t pid = 0;
};

template <class T>
using Async = boost::asio::awaitable<Result<T>>;

class Service {
  public:
    virtual ~Service() = default;
    virtual Async<SubmitReply> submit(SubmitRequest request) = 0;
    virtual Async<std::vector<RunView>> list_runs(int limit) = 0;  // newest first
    // The run once its version exceeds `since`, or as it is when `wait` is over. since 0: at once.
    virtual Async<RunView> wait_run(RunId run, std::uint64_t since, std::chrono::milliseconds wait) = 0;
    virtual Async<LogChunk> read_log(LogRequest request) = 0;
    virtual Async<RunView> cancel(RunId run) = 0;
    virtual Async<ReportView> report(RunId run) = 0;  // renders again; DONE runs only (kConflict)
    virtual Async<std::vector<ArtifactView>> artifacts(RunId run) = 0;
    virtual Async<InstanceView> add_instance(InstanceRequest request) = 0;
    virtual Async<InstanceView> probe_instance(InstanceName name) = 0;
    virtual Async<std::vector<InstanceView>> list_instances() = 0;
    virtual Async<VersionView> version() = 0;
};

}  // namespace nsa::api
