// What goes into the store and comes out of it: plain values. Wire types and in-memory state of the daemon
// are other types, with explicit conversions. All times are UTC milliseconds since the epoch and always
// arguments: the store reads no clock and mints no id.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "language/event.hpp"
#include "language/ids.hpp"
#include "language/judge.hpp"
#include "language/run_state.hpp"
#include "language/verdict.hpp"

namespace nsa::language {
struct Plan;
}

namespace nsa::store {

// --- submission
// ---------------------------------------------------------------------------------------------

struct NewCase {
    CaseKey key;
    std::string step, kind, title;
    bool operator==(const NewCase&) const = default;
};

struct NewRun {
    RunId run;
    std::string name, subject;
    std::string spec_file;             // name for messages
    std::string spec_yaml, plan_json;  // kept as they are
    std::string outline_json;          // a plan with nothing but what places the run and limits it
    Sha256 spec_hash, thresholds_hash;
    InstanceName requested_instance;  // empty: any that fits
    std::string tree;                 // id of the working tree's files; empty: none was looked at
    std::string idempotency_key;      // empty: none
    std::int64_t created_ms = 0;
    std::vector<NewCase> cases;  // in order of execution
};

// A NewRun with everything that the plan says; the caller adds requested_instance and idempotency_key.
NewRun new_run(RunId run, const language::Plan& plan, std::string spec_yaml, std::string spec_file,
               std::int64_t created_ms);

struct Submitted {
    RunId run;             // of the earlier submission when it existed
    bool existed = false;  // same idempotency key, same body
};

// --- runs
// ---------------------------------------------------------------------------------------------------

enum class CaseState { kWaiting, kRunning, kFinished, kBlocked };
std::string_view to_string(CaseState state);  // "waiting", "running", "finished", "blocked"

// A case in the run's latest attempt.
struct CaseRow {
    CaseKey key;
    std::string step, kind, title;
    CaseState state = CaseState::kWaiting;
    std::optional<language::Verdict> verdict;  // once the result is published
    std::string reason;
    double seconds = 0;
    std::uint64_t stdout_bytes = 0, stderr_bytes = 0;  // as the worker counted at the end
    bool operator==(const CaseRow&) const = default;
};

// How far the outside act of an attempt is known to have gone.
enum class AttemptState {
    kLaunching,  // intent: the launch may or may not have reached the host
    kLaunched,   // the worker answered, or its journal is being read
    kEnded,      // its run_finished event is here, or its result was published
};
std::string_view to_string(AttemptState state);  // "launching", ...

struct AttemptRow {
    Attempt attempt;
    AttemptState state = AttemptState::kLaunching;
    InstanceName instance;
    std::int64_t pid = 0;  // of the supervisor, with start_ticks and boot_id its identity
    std::uint64_t start_ticks = 0;
    std::string boot_id;
    std::uint64_t last_seq = 0;  // of the journal events at home; attach from the next one
    std::int64_t begun_ms = 0;
    std::optional<language::RunFinished> finished;  // once that event is at home
    bool operator==(const AttemptRow&) const = default;
};

struct RunRow {
    RunId run;
    std::string name, subject;
    Sha256 spec_hash, thresholds_hash;
    language::RunState state = language::RunState::kQueued;
    language::Reason reason = language::Reason::kNone;
    std::string message;
    std::optional<language::Status> status;  // exactly when DONE
    InstanceName requested_instance;
    InstanceName instance;  // that it holds or held last
    bool holds_lease = false;
    bool cancel_requested = false;
    std::optional<AttemptRow> attempt;                             // the latest; absent: none was begun
    std::int64_t created_ms = 0, started_ms = 0, finished_ms = 0;  // started: first attempt; 0: not yet
    std::uint64_t version = 0;  // grows with every change of the run or its cases
    std::string artifact_dir;   // absolute folder of the published artifacts
    // Publication::artifacts_verified; absent: not DONE, or an older program published it.
    std::optional<bool> artifacts_verified;
    std::string report_path;     // Markdown, once rendered
    Attempt attempts_over{0};    // nobody follows these any more: equal to the latest, a retry is due
    int retries = 0;             // spent so far, also those that no attempt was begun for
    std::vector<CaseRow> cases;  // in order of execution; empty in lists
};

struct RunDocuments {
    std::string spec_file, spec_yaml, plan_json;
};

// A try that was given up for the next one.
struct FailedTry {
    int number = 1;      // from 1; the retry that it cost has the same number
    Attempt attempt{0};  // 0: it never came to a launch
    InstanceName instance;
    language::Reason reason = language::Reason::kNone;
    std::string message;
    std::int64_t over_ms = 0;
    bool operator==(const FailedTry&) const = default;
};

// One change of a run's state. DONE is not among them: only publish_result makes it.
struct RunChange {
    language::RunState state = language::RunState::kQueued;
    language::Reason reason = language::Reason::kNone;
    std::string message;
    // Set: take the exclusive lease of this instance with the change. QUEUED gives any lease back.
    std::optional<InstanceName> lease;
    Attempt attempts_over{0};  // attempts up to this one are over; never goes back
    int retries = 0;           // spent so far
    // Looked at when `retries` grows: the try that the latest was spent on, over at at_ms.
    std::optional<FailedTry> failed;
    std::int64_t at_ms = 0;
};

// A line of the append-only history of a run.
struct ChangeRow {
    std::uint64_t version = 0;
    std::int64_t at_ms = 0;
    std::string
        what;  // "submitted", "state", "cancel_requested", "attempt_begun", "launched", "published", "report"
    language::RunState state = language::RunState::kQueued;
    language::Reason reason = language::Reason::kNone;
    int attempt = 0;  // 0: none yet
    std::string message;
    bool operator==(const ChangeRow&) const = default;
};

// --- attempts and events
// ------------------------------------------------------------------------------------

struct LaunchRecord {
    std::int64_t pid = 0;
    std::uint64_t start_ticks = 0;
    std::string boot_id;
    std::int64_t at_ms = 0;
};

struct Appended {
    std::uint64_t last_seq = 0;          // of everything at home
    std::vector<language::Event> fresh;  // those that were new, in order
    std::uint64_t version = 0;           // of the run afterwards
};

// What is known of a case of one attempt: the judge's input and what reports add to it.
struct StoredOutcome {
    CaseKey key;
    language::CaseOutcome outcome;  // end, blocked_by, records, record_errors
    std::vector<std::string> argv;  // as executed; empty: never started
    double seconds = 0;
    std::int64_t started_ms = 0, finished_ms = 0;
    std::uint64_t stdout_bytes = 0, stderr_bytes = 0;
    std::int64_t max_rss_kib = 0;
};

struct SetupRow {
    int index = 0;
    language::ProcessEnd end;
    double seconds = 0;
    std::string title;  // empty: a worker of before it was recorded
};

// --- results
// ------------------------------------------------------------------------------------------------

struct ArtifactRow {
    std::string path;  // relative to the run's artifact_dir: "steps/decode/decode.csv"
    std::uint64_t size = 0;
    Sha256 sha256;
    bool operator==(const ArtifactRow&) const = default;
};

struct PublishedCase {
    CaseKey key;
    language::CaseJudgement judgement;
};

// The end of a run. Every artifact's bytes are on disk before this is written.
struct Publication {
    int attempt = 0;  // the attempt it speaks for: the run's latest, or 0 when none was begun
    language::Status status = language::Status::kNothingRan;
    language::Reason reason = language::Reason::kCompleted;
    std::string message;
    std::string artifact_dir;
    std::vector<ArtifactRow> artifacts;
    // Whether they are the files of the worker's manifest, each with the hash that it states; else some may
    // be missing, and the hashes are of what came home.
    bool artifacts_verified = false;
    std::vector<PublishedCase> cases;  // every case of the run
    std::int64_t at_ms = 0;
};

struct ReportRow {
    RunId run;
    std::string date, subject;  // "2026-11-23"; subject as in the file name
    int version = 1;
    std::string markdown_path, html_path, json_path;  // absolute; empty until recorded
    Sha256 markdown_sha256, html_sha256, json_sha256;
    std::int64_t recorded_ms = 0;  // 0: reserved only
    bool operator==(const ReportRow&) const = default;
};

// --- instances
// ----------------------------------------------------------------------------------------------

struct InstanceRow {
    InstanceName name;
    std::string engine;                        // "local", "ssh"
    std::string config_json;                   // the daemon's text of engines::InstanceConfig
    std::string host_key;                      // pinned "ssh-ed25519 AAAA..."; empty for local
    std::map<std::string, std::string> facts;  // of the last probe
    std::int64_t probed_ms = 0, created_ms = 0;
    bool operator==(const InstanceRow&) const = default;
};

}  // namespace nsa::store
