// Which case may run: `needs` point backwards in the plan, so one pass in order decides them all. Pure.
#pragma once

#include <map>
#include <optional>

#include "language/plan.hpp"
#include "language/verdict.hpp"

namespace nsa::runner {

class Gate {
  public:
    // The first needed case that did not unblock (it failed, was blocked itself or has not run); nothing:
    // run.
    std::optional<CaseKey> blocked_by(const language::PlannedCase& planned) const;
    void record(const CaseKey& key, language::Verdict verdict) { verdicts_[key] = verdict; }

  private:
    std::map<CaseKey, language::Verdict> verdicts_;
};

}  // namespace nsa::runner
