#include "language/judge.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>

#include "language/evaluate.hpp"
#include "language/series.hpp"
#include "language/text.hpp"

namespace nsa::language {

namespace {

constexpr int kSkippedExitCode = 77;

CaseJudgement decided(Verdict verdict, std::string reason, bool infrastructure = false) {
    CaseJudgement judgement;
    judgement.verdict = verdict;
    judgement.reason = std::move(reason);
    judgement.infrastructure = infrastructure;
    return judgement;
}

std::string with_detail(std::string text, const std::string& detail) {
    return detail.empty() ? text : text + ": " + detail;
}

std::string describe_signal(const ProcessEnd& end) {
    const char* name = sigabbrev_np(end.signal);
    return "killed by signal " + std::to_string(end.signal) +
           (name == nullptr ? "" : " (SIG" + std::string(name) + ")") +
           (end.core_dumped ? ", core dumped" : "");
}

// What the way a case ended says by itself; nothing for an orderly exit with code 0.
std::optional<CaseJudgement> judge_end(const PlannedCase& planned, const CaseOutcome& outcome,
                                       const Observations& seen) {
    if (!outcome.infrastructure.empty()) return decided(Verdict::kError, outcome.infrastructure, true);
    if (outcome.blocked_by) {
        return decided(Verdict::kBlocked, "needs " + outcome.blocked_by->value + ", which did not pass");
    }
    if (!outcome.end) {
        return outcome.run_cancelled ? decided(Verdict::kCancelled, "the run was cancelled before it started")
                                     : decided(Verdict::kError, "it never started", true);
    }
    const ProcessEnd& end = *outcome.end;
    switch (end.kind) {
        case EndKind::kCancelled:
            return decided(Verdict::kCancelled, with_detail("cancelled", end.detail));
        case EndKind::kTimedOut:
            return decided(Verdict::kTimeout, with_detail("hit its time limit", end.detail));
        case EndKind::kSilent:
            return decided(Verdict::kTimeout, with_detail("silent for too long", end.detail));
        case EndKind::kNotStarted:
            return decided(Verdict::kError, with_detail("could not be started", end.detail), true);
        case EndKind::kSignalled:
            return decided(Verdict::kError, with_detail(describe_signal(end), end.detail));
        case EndKind::kExited:
            break;
    }
    const bool skipped = end.exit_code == 0 || (planned.skip_exit_code && end.exit_code == kSkippedExitCode);
    if (skipped && !seen.skips().empty()) return decided(Verdict::kSkip, seen.skips().front().reason);
    if (end.exit_code == 0) return std::nullopt;
    const std::string code = with_detail("exit code " + std::to_string(end.exit_code), end.detail);
    return decided(planned.exit_code_is_verdict ? Verdict::kFail : Verdict::kError, code);
}

// The route that ran must be the one asked for: everything measured on another says nothing about it.
std::optional<std::string> route_fault(const PlannedCase& planned, const Observations& seen) {
    if (planned.route_asked.empty() || planned.route_asked == "auto") return std::nullopt;
    bool taken = false;
    std::string reason;
    for (const Fact& fact : seen.facts()) {
        if (fact.name == "route_reason" && !fact.value.empty()) reason = fact.value;
    }
    for (const Fact& fact : seen.facts()) {
        if (fact.name != "route_taken") continue;
        taken = true;
        if (fact.value != planned.route_asked) {
            return with_detail("route " + planned.route_asked + " was asked, " + fact.value + " was taken",
                               reason);
        }
    }
    if (taken) return std::nullopt;
    return "route " + planned.route_asked + " was asked, no route_taken fact says that it ran";
}

// Rows and samples against what the step kind expects. Missing rows are results of their own.
void compare_with_expected(const PlannedCase& planned, const Observations& seen, CaseJudgement& judgement) {
    for (const Expectation& expected : planned.expected) {
        const Rows& rows = seen.rows_of(expected.metric);
        if (static_cast<int>(rows.size()) < expected.rows) {
            CheckResult missing;
            missing.check = "rows of " + expected.metric;
            missing.verdict = Verdict::kError;
            missing.measured = static_cast<double>(rows.size());
            missing.limit = expected.rows;
            missing.samples_expected = expected.samples;
            missing.detail = std::to_string(rows.size()) + " of " + std::to_string(expected.rows) +
                             " rows of " + expected.metric + " were measured";
            judgement.checks.push_back(std::move(missing));
        }
        for (const auto& [labels, series] : rows) {
            if (static_cast<int>(series.samples.size()) >= expected.samples || judgement.short_of_asked)
                continue;
            judgement.short_of_asked = true;
            judgement.reason = std::to_string(series.samples.size()) + " of " +
                               std::to_string(expected.samples) + " samples of " + expected.metric +
                               (labels.empty() ? "" : " at " + format_labels(labels));
        }
    }
}

void compare_quotas(const PlannedCase& planned, const Observations& seen, CaseJudgement& judgement) {
    for (const Quota& quota : planned.quotas) {
        for (const auto& [labels, asked] : seen.rows_of(quota.asked)) {
            const Rows& done_rows = seen.rows_of(quota.done);
            const auto done = done_rows.find(labels);
            const double count = done == done_rows.end() ? 0 : median(done->second.values());
            if (count >= median(asked.values()) || judgement.short_of_asked) continue;
            judgement.short_of_asked = true;
            judgement.reason = quota.done + " " + format_number(count) + " of " + quota.asked + " " +
                               format_number(median(asked.values()));
        }
    }
}

// What decides first when gates disagree.
int rank(Verdict verdict) {
    switch (verdict) {
        case Verdict::kFail:
            return 4;
        case Verdict::kError:
            return 3;
        case Verdict::kNoReference:
            return 2;
        case Verdict::kInconclusive:
            return 1;
        default:
            return 0;
    }
}

void decide_by_checks(const PlannedCase& planned, CaseJudgement& judgement) {
    const CheckResult* worst = nullptr;
    std::size_t gates = 0, as_bad = 0;
    for (const CheckResult& result : judgement.checks) {
        if (result.level != Level::kGate) continue;
        ++gates;
        if (worst == nullptr || rank(result.verdict) > rank(worst->verdict)) {
            worst = &result;
            as_bad = 0;
        }
        if (result.verdict == worst->verdict) ++as_bad;
    }
    if (gates == 0) {
        if (planned.exit_code_is_verdict) {
            judgement.verdict = Verdict::kPass;
        } else {
            judgement.verdict = Verdict::kInconclusive;
            judgement.reason = "no gate decides this case";
        }
        return;
    }
    judgement.verdict = worst->verdict;
    if (worst->verdict == Verdict::kPass) return;
    judgement.reason = worst->detail + (worst->row.empty() ? "" : " at " + format_labels(worst->row)) +
                       (as_bad > 1 ? " (and " + std::to_string(as_bad - 1) + " more)" : "");
}

void judge_orderly_end(const PlannedCase& planned, const CaseOutcome& outcome, const Observations& seen,
                       CaseJudgement& judgement) {
    if (const std::optional<std::string> fault = route_fault(planned, seen)) {
        judgement.verdict = Verdict::kError;
        judgement.reason = *fault;
    } else if (!outcome.record_errors.empty()) {
        judgement.verdict = Verdict::kError;
        const std::size_t more = outcome.record_errors.size() - 1;
        judgement.reason = "results could not be read: " + outcome.record_errors.front() +
                           (more > 0 ? " (and " + std::to_string(more) + " more)" : "");
    } else {
        decide_by_checks(planned, judgement);
    }
}

void apply_waiver(const Waiver& waiver, std::string_view today, CaseJudgement& judgement) {
    const bool fails = judgement.verdict == Verdict::kFail;
    if (!fails && judgement.verdict != Verdict::kPass) return;
    const std::string terms = waiver.owner + " until " + waiver.expires + ": " + waiver.reason;
    if (today > waiver.expires) {
        if (fails) judgement.reason += " (waiver by " + waiver.owner + " expired on " + waiver.expires + ")";
    } else if (fails) {
        judgement.verdict = Verdict::kXfail;
        judgement.reason += " (waived by " + terms + ")";
    } else {
        judgement.verdict = Verdict::kXpass;
        judgement.reason = "passed although waived by " + terms;
    }
}

// A warm-up says nothing about the subject, however it ended; only that the system failed it is told.
CaseJudgement judge_warmup(std::optional<CaseJudgement> ended) {
    const bool told = ended && (ended->infrastructure || ended->verdict == Verdict::kCancelled);
    if (told) return *std::move(ended);
    return decided(Verdict::kSkip, "a warm-up is not judged" + (ended ? "; " + ended->reason : ""));
}

std::vector<CheckResult> evaluate_all(const PlannedCase& planned, const Observations& seen) {
    std::vector<CheckResult> all;
    for (const Check& check : planned.checks) {
        for (CheckResult& result : evaluate(check, seen)) {
            for (const Expectation& expected : planned.expected) {
                if (expected.metric == subject_of(check.rule)) result.samples_expected = expected.samples;
            }
            all.push_back(std::move(result));
        }
    }
    return all;
}

// A case that broke off keeps what it had measured. A gate that had failed by then stays failed: neither
// breaking off nor a skip of the rest turns a FAIL into a mere ERROR or SKIP.
void add_measured(std::vector<CheckResult> results, CaseJudgement& judgement) {
    const bool skipped = judgement.verdict == Verdict::kSkip;
    const bool may_fail = skipped || (judgement.verdict == Verdict::kError && !judgement.infrastructure);
    for (CheckResult& result : results) {
        if (!result.measured) continue;
        if (may_fail && result.verdict == Verdict::kFail && result.level == Level::kGate &&
            judgement.verdict != Verdict::kFail) {
            judgement.verdict = Verdict::kFail;
            judgement.reason = result.detail + (skipped ? ", then skipped: " : ", then ") + judgement.reason;
        }
        judgement.checks.push_back(std::move(result));
    }
}

}  // namespace

CaseJudgement judge(const PlannedCase& planned, const CaseOutcome& outcome, std::string_view today) {
    const Observations seen(outcome.records);
    if (planned.warmup) return judge_warmup(judge_end(planned, outcome, seen));
    std::vector<CheckResult> results = evaluate_all(planned, seen);
    CaseJudgement judgement;
    if (std::optional<CaseJudgement> ended = judge_end(planned, outcome, seen)) {
        judgement = std::move(*ended);
        add_measured(std::move(results), judgement);
    } else {
        judgement.checks = std::move(results);
        compare_with_expected(planned, seen, judgement);
        compare_quotas(planned, seen, judgement);
        judge_orderly_end(planned, outcome, seen, judgement);
    }
    if (planned.xfail) apply_waiver(*planned.xfail, today, judgement);
    return judgement;
}

bool unblocks(Verdict verdict) {
    return verdict == Verdict::kPass || verdict == Verdict::kXfail;
}

}  // namespace nsa::language
