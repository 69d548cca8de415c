#include "reports/load.hpp"

#include <algorithm>

#include "language/event.hpp"
#include "language/utc_time.hpp"
#include "reports/text.hpp"
#include "store/store.hpp"

namespace nsa::reports {

namespace {

struct Sample {
    int index = 0;
    double value = 0;
};

// Sorts records into rows; samples of a row by index, in the order written where indices are equal.
void sort_records(const std::vector<language::Record>& records, CaseFacts& facts) {
    std::map<std::pair<std::string, language::Labels>, std::pair<std::string, std::vector<Sample>>> rows;
    std::vector<std::pair<std::string, language::Labels>> order;
    for (const language::Record& record : records) {
        if (const auto* fact = std::get_if<language::Fact>(&record)) facts.facts.push_back(*fact);
        const auto* sample = std::get_if<language::Measurement>(&record);
        if (sample == nullptr) continue;
        const auto [row, fresh] = rows.try_emplace({sample->metric, sample->labels});
        if (fresh) order.push_back(row->first);
        row->second.first = sample->unit;
        row->second.second.push_back({sample->sample, sample->value});
    }
    for (const auto& key : order) {
        auto& [unit, samples] = rows.at(key);
        std::stable_sort(samples.begin(), samples.end(),
                         [](const Sample& a, const Sample& b) { return a.index < b.index; });
        Series series{key.first, unit, key.second, {}};
        for (const Sample& sample : samples)
            series.samples.push_back(sample.value);
        facts.series.push_back(std::move(series));
    }
}

CaseFacts case_facts(language::PlannedCase planned, language::CaseJudgement judgement,
                     const store::StoredOutcome& outcome) {
    CaseFacts facts;
    facts.folder = language::case_folder(planned.key);
    facts.planned = std::move(planned);
    facts.judgement = std::move(judgement);
    facts.end = outcome.outcome.end;
    facts.argv = outcome.argv;
    facts.seconds = outcome.seconds;
    facts.max_rss_kib = outcome.max_rss_kib;
    facts.record_errors = outcome.outcome.record_errors;
    sort_records(outcome.outcome.records, facts);
    return facts;
}

// Joins plan, verdicts and outcomes, all in order of execution and of the same cases.
Result<void> add_cases(store::Store& store, RunFacts& facts) {
    const RunId& run = facts.run.run;
    const Attempt attempt = facts.run.attempt ? facts.run.attempt->attempt : Attempt{0};
    Result<std::vector<store::PublishedCase>> judged = store.judgements(run);
    if (!judged) return judged.error();
    Result<std::vector<store::StoredOutcome>> outcomes = store.outcomes(run, attempt);
    if (!outcomes) return outcomes.error();
    std::vector<language::PlannedCase> planned = std::move(facts.plan.cases);
    facts.plan.cases.clear();
    if (planned.size() != judged->size() || planned.size() != outcomes->size())
        return fail(ErrorCode::kCorrupt, "plan, verdicts and outcomes differ in length", "run " + run.value);
    for (std::size_t i = 0; i < planned.size(); ++i) {
        if (planned[i].key != (*judged)[i].key || planned[i].key != (*outcomes)[i].key)
            return fail(ErrorCode::kCorrupt, "plan, verdicts and outcomes differ", "run " + run.value);
        std::vector<CaseFacts>& side = planned[i].warmup ? facts.warmups : facts.cases;
        side.push_back(case_facts(std::move(planned[i]), std::move((*judged)[i].judgement), (*outcomes)[i]));
    }
    return {};
}

Result<void> add_attempt(store::Store& store, RunFacts& facts) {
    if (!facts.run.attempt) return {};
    const Attempt attempt = facts.run.attempt->attempt;
    Result<std::map<std::string, std::string>> host = store.host_facts(facts.run.run, attempt);
    if (!host) return host.error();
    Result<std::vector<store::SetupRow>> setup = store.setup_results(facts.run.run, attempt);
    if (!setup) return setup.error();
    facts.host = std::move(*host);
    facts.setup = std::move(*setup);
    return {};
}

// Time between the changes at which the run held an instance: in every state but QUEUED and DONE.
std::int64_t held_ms(const std::vector<store::ChangeRow>& history) {
    using language::RunState;
    std::int64_t sum = 0;
    for (std::size_t i = 0; i + 1 < history.size(); ++i) {
        const bool held = history[i].state != RunState::kQueued && history[i].state != RunState::kDone;
        if (held) sum += std::max<std::int64_t>(0, history[i + 1].at_ms - history[i].at_ms);
    }
    return sum;
}

Result<void> add_tries(store::Store& store, RunFacts& facts) {
    Result<std::vector<store::AttemptRow>> attempts = store.attempts(facts.run.run);
    if (!attempts) return attempts.error();
    Result<std::vector<store::FailedTry>> failed = store.failed_tries(facts.run.run);
    if (!failed) return failed.error();
    const Result<std::vector<store::ChangeRow>> history = store.history(facts.run.run);
    if (!history) return history.error();
    facts.attempts = std::move(*attempts);
    facts.failed_tries = std::move(*failed);
    facts.held_ms = held_ms(*history);
    return {};
}

Result<void> add_name(store::Store& store, RunFacts& facts) {
    const std::string& subject =
        facts.plan.report.subject.empty() ? facts.run.subject : facts.plan.report.subject;
    Result<store::ReportRow> reserved =
        store.reserve_report(facts.run.run, language::utc_date(facts.run.finished_ms), file_subject(subject));
    if (!reserved) return reserved.error();
    facts.report = std::move(*reserved);
    return {};
}

}  // namespace

Result<RunFacts> load(store::Store& store, const RunId& run) {
    RunFacts facts;
    Result<store::RunRow> row = store.find_run(run);
    if (!row) return row.error();
    if (row->state != language::RunState::kDone || !row->status)
        return fail(ErrorCode::kConflict, "the run is not DONE: a report needs a terminal state",
                    "run " + run.value);
    facts.run = std::move(*row);
    Result<store::RunDocuments> documents = store.documents(run);
    if (!documents) return documents.error();
    facts.spec_file = documents->spec_file;
    Result<language::Plan> plan = language::plan_from_text(documents->plan_json);
    if (!plan) return plan.error();
    facts.plan = std::move(*plan);
    Result<std::vector<store::ArtifactRow>> artifacts = store.artifacts(run);
    if (!artifacts) return artifacts.error();
    facts.artifacts = std::move(*artifacts);
    for (auto add : {add_attempt, add_tries, add_cases, add_name}) {
        if (Result<void> added = add(store, facts); !added) return added.error();
    }
    return facts;
}

}  // namespace nsa::reports
