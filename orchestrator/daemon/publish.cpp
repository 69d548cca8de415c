// The end of a run: every case judged, everything recorded in one transaction.
#include <algorithm>

#include "daemon/acts.hpp"
#include "daemon/attempt_files.hpp"
#include "daemon/clock.hpp"
#include "daemon/verdicts.hpp"
#include "language/failpoint.hpp"

namespace nsa::daemon {

namespace asio = boost::asio;

namespace {

// What is at home of an attempt that could not be collected: listed with the hashes that the files have here.
asio::awaitable<Result<std::vector<store::ArtifactRow>>> artifacts_of(Workplace& place,
                                                                      const ActiveRun& active,
                                                                      Attempt attempt,
                                                                      const std::filesystem::path& dir) {
    if (active.artifacts && active.artifacts->attempt == attempt) co_return active.artifacts->rows;
    AttemptFiles files(dir);
    auto describe = [&] { return files.describe_all(); };
    co_return co_await place.disk.call(describe);
}

}  // namespace

ActResult publish(Workplace& place, scheduler::Publish act) {
    const RunId run = act.ticket.run;
    const Result<std::shared_ptr<ActiveRun>> active = co_await place.runs.find(run);
    if (!active) co_return active.error();
    failpoint("daemon.publish.begin");
    store::Publication publication;
    publication.attempt = act.ticket.attempt.value;
    publication.reason = act.reason;
    publication.at_ms = wall_ms();
    if (publication.attempt > 0) {
        const std::filesystem::path dir = attempt_dir(place.config.artifacts_dir, run, act.ticket.attempt);
        Result<std::vector<store::ArtifactRow>> artifacts =
            co_await artifacts_of(place, **active, act.ticket.attempt, dir);
        if (!artifacts) co_return artifacts.error();
        publication.artifacts = std::move(*artifacts);
        publication.artifact_dir = dir.string();
    }
    auto write = [&](store::Store& store) -> Result<std::uint64_t> {
        std::vector<store::StoredOutcome> outcomes;
        if (publication.attempt > 0) {
            Result<std::vector<store::StoredOutcome>> stored = store.outcomes(run, act.ticket.attempt);
            if (!stored) return stored.error();
            outcomes = std::move(*stored);
        }
        RunVerdict verdict =
            judge_run((*active)->plan, outcomes, act.reason, act.message, iso_date(publication.at_ms));
        publication.status = verdict.status;
        publication.message = std::move(verdict.message);
        publication.cases = std::move(verdict.cases);
        failpoint("daemon.publish.judged");
        return store.publish_result(run, publication);
    };
    const Result<std::uint64_t> published = co_await place.books.write(run, write);
    if (!published) co_return published.error();
    failpoint("daemon.publish.after_commit");
    place.log_growth.ring(run);
    place.runs.forget(run);
    place.log.info("run " + run.value + ": " + std::string(language::to_string(publication.status)) + " (" +
                   std::string(language::to_string(publication.reason)) + ") " + publication.message);
    co_return scheduler::Event(scheduler::Published{act.ticket});
}

}  // namespace nsa::daemon
