// The results database: every fact that must survive a crash. One object, one connection, one thread; other
// processes may read the file at any time (WAL). The only user of SQLiteCpp.
//
// Every mutation is one IMMEDIATE transaction, durable when the call returns (synchronous=FULL), and guarded
// in the statement itself, so that two writers cannot both win. Nothing throws for what a database does in
// normal life: kConflict (guard refused), kNotFound, kNoSpace (disk full), kCorrupt (damaged, or not our
// file), kTimeout (somebody else kept it locked), kInternal. Schema, views and the reasons: docs/storage.md.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "language/result.hpp"
#include "store/rows.hpp"

namespace nsa::store {

class Store {
  public:
    // Opens or creates (mode 0600), checks the file, migrates it to this program's schema. Refuses a newer
    // schema and a damaged file, and changes neither.
    static Result<Store> open(const std::filesystem::path& path);
    ~Store();
    Store(Store&&) noexcept;
    Store& operator=(Store&&) noexcept;

    // --- runs ---
    // QUEUED with all cases waiting. kConflict: the key was used for another body, or the run id is taken.
    Result<Submitted> submit(const NewRun& run);
    Result<std::vector<RunRow>> load_active_runs();  // not DONE, oldest first, without cases
    // Of the same runs in the same order (NewRun::outline_json); empty: an older program took the run.
    Result<std::vector<std::string>> load_active_outlines();
    Result<std::vector<RunRow>> list_runs(int limit);  // newest first, without cases
    Result<RunRow> find_run(const RunId& run);         // with cases; kNotFound
    Result<RunDocuments> documents(const RunId& run);
    Result<std::vector<ChangeRow>> history(const RunId& run);
    // The run's version afterwards. kConflict: it is DONE, or the lease is held by another run.
    Result<std::uint64_t> set_run_state(const RunId& run, const RunChange& change);
    // Durable wish; idempotent. kConflict: it is DONE.
    Result<std::uint64_t> request_cancel(const RunId& run, std::int64_t at_ms);

    // --- attempts: intent before every outside act ---
    // Writes the intent and resets the cases. `attempt` must be the next one: kConflict otherwise.
    Result<void> begin_attempt(const RunId& run, Attempt attempt, const InstanceName& instance,
                               std::int64_t at_ms);
    // The worker's answer to the launch. Idempotent; kConflict for an attempt that is not the latest.
    Result<void> record_launch(const RunId& run, Attempt attempt, const LaunchRecord& launch);
    // `lines`: whole journal lines. Those already here are ignored; a gap is kProtocol; a line that cannot be
    // read is kProtocol and nothing of the batch is kept. Case rows, measurements, facts and host facts
    // follow in the same transaction. kConflict: not the latest attempt, or the run is DONE.
    Result<Appended> append_events(const RunId& run, Attempt attempt, std::string_view lines);
    Result<std::vector<AttemptRow>> attempts(const RunId& run);
    Result<std::vector<FailedTry>> failed_tries(const RunId& run);  // by number
    // One entry per case of the run, in order of execution: input of language::judge.
    Result<std::vector<StoredOutcome>> outcomes(const RunId& run, Attempt attempt);
    Result<std::map<std::string, std::string>> host_facts(const RunId& run, Attempt attempt);
    Result<std::vector<SetupRow>> setup_results(const RunId& run, Attempt attempt);

    // --- batches ---
    // The mutations of `body` are one transaction: one wait for the disk for all of them. One that is refused
    // (kConflict, kNotFound) leaves nothing behind and the others stand. When body returns an error, or the
    // disk does, nothing of it happened.
    Result<void> together(const std::function<Result<void>()>& body);

    // --- results ---
    // Artifacts, checks, verdicts, status and DONE in one transaction; gives the lease back. kConflict: stale
    // attempt, or already published.
    Result<std::uint64_t> publish_result(const RunId& run, const Publication& publication);
    Result<std::vector<ArtifactRow>> artifacts(const RunId& run);     // by path
    Result<std::vector<PublishedCase>> judgements(const RunId& run);  // in order of execution

    // --- reports: one per run; the version counts the reports of one (date, subject) ---
    // Reserves the name of a DONE run's report; asking again gives the same one.
    Result<ReportRow> reserve_report(const RunId& run, std::string_view date, std::string_view subject);
    Result<void> record_report(const ReportRow& report);  // files are on disk; idempotent
    Result<ReportRow> find_report(const RunId& run);      // kNotFound
    Result<std::vector<RunId>> runs_without_report();     // DONE, nothing recorded; oldest first

    // --- instances ---
    Result<void> put_instance(const InstanceRow& instance);  // insert or replace config and pin
    Result<void> set_instance_facts(const InstanceName& name, const std::map<std::string, std::string>& facts,
                                    std::int64_t probed_ms);
    Result<std::vector<InstanceRow>> list_instances();  // by name
    Result<InstanceRow> find_instance(const InstanceName& name);

    // --- upkeep (copies: backup.hpp) ---
    // Set for good once the disk failed or the file was found damaged: every mutation returns this, kCorrupt.
    // Whoever goes on opens the file anew, which checks it.
    const std::optional<Error>& broken() const;
    // Rows written so far by this object: tells whether a backup would differ from the last one.
    std::int64_t changes() const;
    static int schema_version();  // of this program

  private:
    struct Impl;
    explicit Store(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace nsa::store
