// From what happened to the run's verdicts. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "language/plan.hpp"
#include "store/rows.hpp"

namespace nsa::daemon {

struct RunVerdict {
    language::Status status = language::Status::kNothingRan;
    std::string message;  // one sentence for people
    std::vector<store::PublishedCase> cases;
};

// outcomes: of the latest attempt; empty when none was begun. `message` says why the run ended so, if
// anything is to be said. A run whose artifacts did not come home has no verdict, whatever its measurements
// say; one in which the system failed otherwise is at most a PARTIAL PASS.
RunVerdict judge_run(const language::Plan& plan, const std::vector<store::StoredOutcome>& outcomes,
                     language::Reason reason, const std::string& message, std::string_view today);

// When the plan or the outcomes cannot be used: every case carries the message, and nothing has a verdict.
RunVerdict unjudged_run(const std::vector<store::CaseRow>& cases, language::Reason reason,
                        const std::string& message);

}  // namespace nsa::daemon
