// Everything a report says comes from one RunFacts value; load.hpp makes it from the store, and every other
// file of this box is a pure function of it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "language/judge.hpp"
#include "language/plan.hpp"
#include "store/rows.hpp"

namespace nsa::reports {

// The raw samples of one metric and label set of a case, in order of their index.
struct Series {
    std::string metric, unit;
    language::Labels labels;
    std::vector<double> samples;
};

struct CaseFacts {
    language::PlannedCase planned;
    language::CaseJudgement judgement;
    std::optional<language::ProcessEnd> end;  // absent: never started or never ended
    std::vector<std::string> argv;            // as executed; empty: never started
    double seconds = 0;
    std::int64_t max_rss_kib = 0;  // of its largest process; 0: not measured
    std::vector<Series> series;
    std::vector<language::Fact> facts;
    std::vector<std::string> record_errors;
    std::string folder;  // below steps/ in the artifacts
};

struct RunFacts {
    store::RunRow run;        // DONE; its cases are not used
    language::Plan plan;      // its cases are in `cases`
    store::ReportRow report;  // date, subject and version: the name
    std::string spec_file;
    std::map<std::string, std::string> host;  // as probed by the worker just before the steps
    std::vector<store::SetupRow> setup;
    std::vector<store::AttemptRow> attempts;     // all that were launched, the one reported last
    std::vector<store::FailedTry> failed_tries;  // given up for the next one, by number
    std::int64_t held_ms = 0;                    // that the run held an instance, over all tries
    std::vector<store::ArtifactRow> artifacts;
    std::vector<CaseFacts> cases;    // in order of execution, without the warm-ups
    std::vector<CaseFacts> warmups;  // run and recorded, but nothing is concluded from them
};

// Null: the case has no such row.
const Series* find_series(const CaseFacts& facts, std::string_view metric,
                          const language::Labels& labels = {});
// Of the metric's only row or its first one; empty: never measured.
std::optional<double> median_of(const CaseFacts& facts, std::string_view metric,
                                const language::Labels& labels = {});
double median_of(const Series& series);
bool has_nan(const Series& series);

// The first value of a fact, with this label when `label` is given; empty: absent.
std::string fact_of(const CaseFacts& facts, std::string_view name);
std::string fact_of(const CaseFacts& facts, std::string_view name, std::string_view label,
                    std::string_view value);
// A parameter of the case as text; empty: it has none.
std::string param_of(const CaseFacts& facts, std::string_view name);
// What people call the case: its key, after its title when it has one.
std::string name_of(const CaseFacts& facts);

// What the host cost, in the currency of budget.hourly; 0 when that is not stated.
double cost_of(const RunFacts& facts);

// A parity case whose truth is a golden file's, not the oracle's.
bool by_golden_file(const CaseFacts& facts);

// Whether the case measured on a CUDA device.
bool ran_on_gpu(const CaseFacts& facts);

}  // namespace nsa::reports
