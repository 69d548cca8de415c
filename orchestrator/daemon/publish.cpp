// The end of a run: every case judged, everything recorded in one transaction.
#include <algorithm>

#include "daemon/acts.hpp"
#include "daemon/attempt_files.hpp"
#include "daemon/clock.hpp"
#include "daemon/verdicts.hpp"
#include "language/failpoint.hpp"
#include "language/utc_time.hpp"

namespace nsa::daemon {

namespace asio = boost::asio;

namespace {

// What was collected; else what is at home of an attempt that could not be, on the disk: listed with the
// hashes that the files have here.
asio::awaitable<Result<CollectedArtifacts>> artifacts_of(Workplace& place, ActiveRun& active, Attempt attempt,
                                                         const std::filesystem::path& dir) {
    if (active.artifacts && active.artifacts->attempt == attempt) co_return *active.artifacts;
    // A pull that is given up may still bring pieces: none of them is written behind the hash of its file.
    active.pull_given_up = attempt;
    AttemptFiles files(place.write_back, dir);
    auto describe = [&]() -> Result<CollectedArtifacts> {
        Result<std::vector<store::ArtifactRow>> rows = files.describe_all();
        if (!rows) return rows.error();
        const Result<void> durable = rows->empty() ? Result<void>{} : files.sync();
        if (!durable) return durable.error();
        return CollectedArtifacts{attempt, std::move(*rows), false};
    };
    co_return co_await place.disk.call(describe);
}

// What the act asks for, judged; the artifacts are those that are at home.
asio::awaitable<Result<store::Publication>> judged(Workplace& place, scheduler::Publish act,
                                                   store::Publication publication) {
    const RunId run = act.ticket.run;
    const Result<std::shared_ptr<ActiveRun>> active = co_await place.runs.find(run);
    if (!active) co_return active.error();
    if (publication.attempt > 0) {
        Result<CollectedArtifacts> artifacts =
            co_await artifacts_of(place, **active, act.ticket.attempt, publication.artifact_dir);
        if (!artifacts) co_return artifacts.error();
        publication.artifacts = std::move(artifacts->rows);
        publication.artifacts_verified = artifacts->verified;
    }
    auto read = [&](store::Store& store) -> Result<std::vector<store::StoredOutcome>> {
        if (publication.attempt == 0) return std::vector<store::StoredOutcome>{};
        return store.outcomes(run, act.ticket.attempt);
    };
    const Result<std::vector<store::StoredOutcome>> outcomes = co_await place.books.read(read);
    if (!outcomes) co_return outcomes.error();
    RunVerdict verdict =
        judge_run((*active)->plan, *outcomes, act.reason, act.message, language::utc_date(publication.at_ms));
    publication.status = verdict.status;
    publication.message = std::move(verdict.message);
    publication.cases = std::move(verdict.cases);
    co_return publication;
}

// The end alone: what there is of files stays where it is, unlisted.
asio::awaitable<Result<store::Publication>> unjudged(Workplace& place, scheduler::Publish act,
                                                     store::Publication publication) {
    auto read = [&](store::Store& store) { return store.find_run(act.ticket.run); };
    const Result<store::RunRow> row = co_await place.books.read(read);
    if (!row) co_return row.error();
    RunVerdict verdict = unjudged_run(row->cases, act.reason, act.message);
    publication.status = verdict.status;
    publication.message = std::move(verdict.message);
    publication.cases = std::move(verdict.cases);
    co_return publication;
}

// kConflict of a run that is DONE: an earlier try was recorded although its answer was lost.
asio::awaitable<bool> is_done(Workplace& place, RunId run) {
    auto read = [&](store::Store& store) { return store.find_run(run); };
    const Result<store::RunRow> row = co_await place.books.read(read);
    co_return row && row->state == language::RunState::kDone;
}

}  // namespace

ActResult publish(Workplace& place, scheduler::Publish act) {
    const RunId run = act.ticket.run;
    failpoint("daemon.publish.begin");
    store::Publication publication;
    publication.attempt = act.ticket.attempt.value;
    publication.reason = act.reason;
    publication.at_ms = wall_ms();
    if (publication.attempt > 0)
        publication.artifact_dir = attempt_dir(place.config.artifacts_dir, run, act.ticket.attempt).string();
    Result<store::Publication> decided = publication;
    if (act.bare) {
        decided = co_await unjudged(place, act, std::move(publication));
    } else {
        decided = co_await judged(place, act, std::move(publication));
    }
    if (!decided) co_return decided.error();
    failpoint("daemon.publish.judged");
    auto write = [&](store::Store& store) { return store.publish_result(run, *decided); };
    const Result<std::uint64_t> published = co_await place.books.write(run, write);
    if (!published && published.error().code != ErrorCode::kConflict) co_return published.error();
    if (!published) {
        const bool done = co_await is_done(place, run);
        if (!done) co_return published.error();
    }
    failpoint("daemon.publish.after_commit");
    place.log_growth.ring(run);
    place.runs.forget(run);
    place.write_back.forget(place.config.artifacts_dir / run.value);
    place.log.info("run " + run.value + ": " + std::string(language::to_string(decided->status)) + " (" +
                   std::string(language::to_string(decided->reason)) + ") " + decided->message);
    co_return scheduler::Event(scheduler::Published{act.ticket});
}

}  // namespace nsa::daemon
