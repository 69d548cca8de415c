#include "daemon/verdicts.hpp"

#include <map>

namespace nsa::daemon {

using language::CaseOutcome;
using language::Reason;
using language::Verdict;

namespace {

bool artifacts_are_missing(Reason reason) {
    return reason == Reason::kPullTimeout || reason == Reason::kPullFailed;
}

bool the_system_failed(Reason reason) {
    return reason != Reason::kCompleted && reason != Reason::kCancelledByUser && reason != Reason::kNone;
}

CaseOutcome outcome_of(const store::StoredOutcome* stored, Reason reason, const std::string& message) {
    CaseOutcome outcome = stored ? stored->outcome : CaseOutcome{};
    const bool open = !outcome.end && !outcome.blocked_by;
    const std::string cause = message.empty() ? std::string(language::to_string(reason)) : message;
    if (open && reason == Reason::kCancelledByUser) outcome.run_cancelled = true;
    if (open && the_system_failed(reason)) outcome.infrastructure = cause;
    if (artifacts_are_missing(reason)) outcome.infrastructure = cause;
    return outcome;
}

bool wants_attention(Verdict verdict) {
    return verdict != Verdict::kPass && verdict != Verdict::kXfail;
}

// The first case that did not pass, with its reason. `cases` are those of the plan, in its order.
std::string summary(const language::Plan& plan, const std::vector<store::PublishedCase>& cases) {
    std::size_t others = 0;
    std::string text;
    for (std::size_t i = 0; i < cases.size(); ++i) {
        const store::PublishedCase& one = cases[i];
        if (plan.cases[i].warmup || !wants_attention(one.judgement.verdict)) continue;
        if (!text.empty()) {
            ++others;
            continue;
        }
        text = one.key.value + ": " + std::string(language::to_string(one.judgement.verdict));
        if (!one.judgement.reason.empty()) text += ", " + one.judgement.reason;
    }
    if (others > 0) text += " (and " + std::to_string(others) + " more cases that did not pass)";
    return text;
}

}  // namespace

RunVerdict judge_run(const language::Plan& plan, const std::vector<store::StoredOutcome>& outcomes,
                     Reason reason, const std::string& message, std::string_view today) {
    std::map<CaseKey, const store::StoredOutcome*> by_key;
    for (const store::StoredOutcome& outcome : outcomes)
        by_key[outcome.key] = &outcome;
    RunVerdict verdict;
    std::vector<language::GateOutcome> gates;
    for (const language::PlannedCase& planned : plan.cases) {
        const auto found = by_key.find(planned.key);
        const CaseOutcome outcome =
            outcome_of(found == by_key.end() ? nullptr : found->second, reason, message);
        store::PublishedCase published{planned.key, language::judge(planned, outcome, today)};
        if (!planned.warmup) gates.push_back(published.judgement.gate());
        verdict.cases.push_back(std::move(published));
    }
    verdict.status = language::status_of(gates, reason == Reason::kCancelledByUser);
    // All cases had ended well when the system failed: their artifacts may not be whole.
    if (verdict.status == language::Status::kPass && the_system_failed(reason))
        verdict.status = language::Status::kPartialPass;
    verdict.message = message.empty() ? summary(plan, verdict.cases) : message;
    return verdict;
}

RunVerdict unjudged_run(const std::vector<store::CaseRow>& cases, Reason reason, const std::string& message) {
    const bool cancelled = reason == Reason::kCancelledByUser;
    RunVerdict verdict;
    std::vector<language::GateOutcome> gates;
    for (const store::CaseRow& one : cases) {
        language::CaseJudgement judgement;
        judgement.verdict = cancelled ? Verdict::kCancelled : Verdict::kError;
        judgement.reason = message;
        judgement.infrastructure = !cancelled;
        gates.push_back(judgement.gate());
        verdict.cases.push_back({one.key, std::move(judgement)});
    }
    verdict.status = language::status_of(gates, cancelled);
    verdict.message = message;
    return verdict;
}

}  // namespace nsa::daemon
