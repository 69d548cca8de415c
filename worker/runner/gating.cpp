#include "runner/gating.hpp"

#include "language/judge.hpp"

namespace nsa::runner {

std::optional<CaseKey> Gate::blocked_by(const language::PlannedCase& planned) const {
    for (const auto& needed : planned.needs) {
        const auto verdict = verdicts_.find(needed);
        if (verdict == verdicts_.end() || !language::unblocks(verdict->second)) return needed;
    }
    return std::nullopt;
}

}  // namespace nsa::runner
