#include "language/verdict.hpp"

#include <algorithm>

namespace nsa::language {

namespace {

bool fails_the_run(const GateOutcome& gate) {
    return gate.verdict == Verdict::kFail || gate.verdict == Verdict::kXpass ||
           gate.verdict == Verdict::kTimeout;
}

bool passed(const GateOutcome& gate) {
    return gate.verdict == Verdict::kPass;
}

bool holds(const GateOutcome& gate) {
    return (gate.verdict == Verdict::kPass || gate.verdict == Verdict::kXfail) && !gate.short_of_asked;
}

// Something was measured, but it decides nothing.
bool undecided(const GateOutcome& gate) {
    return gate.verdict == Verdict::kInconclusive || gate.verdict == Verdict::kNoReference ||
           gate.verdict == Verdict::kXfail;
}

}  // namespace

Status status_of(const std::vector<GateOutcome>& gates, bool run_cancelled) {
    const auto any = [&](auto is) { return std::any_of(gates.begin(), gates.end(), is); };
    if (any(fails_the_run)) return Status::kFail;
    if (run_cancelled) return Status::kCancelled;
    if (!any(passed)) {
        if (any([](const GateOutcome& gate) { return gate.infrastructure; })) return Status::kInfrastructure;
        return any(undecided) ? Status::kInconclusive : Status::kNothingRan;
    }
    return std::all_of(gates.begin(), gates.end(), holds) ? Status::kPass : Status::kPartialPass;
}

int exit_code_of(Status status) {
    switch (status) {
        case Status::kPass:
            return 0;
        case Status::kFail:
            return 1;
        case Status::kPartialPass:
            return 3;
        case Status::kInfrastructure:
            return exit_code::kInfrastructure;
        case Status::kNothingRan:
            return 5;
        case Status::kInconclusive:
            return 6;
        case Status::kCancelled:
            return 7;
    }
    return exit_code::kInfrastructure;
}

}  // namespace nsa::language
