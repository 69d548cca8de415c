// The judge: from a planned case and what happened to its verdict. Pure; used by the worker for `needs` and
// by the daemon for the record.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "language/event.hpp"
#include "language/plan.hpp"

namespace nsa::language {

// What happened to a case.
struct CaseOutcome {
    std::optional<ProcessEnd> end;  // absent: never started
    std::optional<CaseKey> blocked_by;
    bool run_cancelled = false;  // never started because the run was cancelled
    std::string infrastructure;  // never started or never finished because the system failed: why
    std::vector<Record> records;
    std::vector<std::string> record_errors;
};

// One check on one row.
struct CheckResult {
    std::string check;  // Check::id
    Labels row;
    Level level = Level::kGate;
    Verdict verdict = Verdict::kError;
    std::optional<double> measured;
    std::optional<double> limit;
    std::string unit;
    int samples = 0, samples_expected = 0;
    std::string detail;  // one sentence: "mae 0.773 > 0.0002"

    bool operator==(const CheckResult&) const = default;
};

struct CaseJudgement {
    Verdict verdict = Verdict::kError;
    std::string reason;  // one sentence; empty for a PASS that gave all that was asked
    bool short_of_asked = false;
    bool infrastructure = false;
    std::vector<CheckResult> checks;

    GateOutcome gate() const { return {verdict, short_of_asked, infrastructure}; }
    bool operator==(const CaseJudgement&) const = default;
};

// `today`: ISO date (UTC) for the expiry of waivers.
CaseJudgement judge(const PlannedCase& planned, const CaseOutcome& outcome, std::string_view today);

// A case lets its dependants run when it passed, or failed as foretold.
bool unblocks(Verdict verdict);

// Median, the one used everywhere (mean of the middle two for even n). Empty input: NaN.
double median(std::vector<double> values);

// The value below which `part` (0 to 1) of the values lie, interpolated between neighbours. Empty input, or a
// NaN in it: NaN.
double quantile(std::vector<double> values, double part);

}  // namespace nsa::language
