#include <algorithm>
#include <csignal>
#include <map>

#include "reports/rules.hpp"
#include "reports/text.hpp"

namespace nsa::reports {

namespace {

using language::CheckResult;
using language::EndKind;
using language::Level;
using language::Verdict;

constexpr std::size_t kMostNamed = 20;  // failures told one by one; the tables have all

void find_failed_gates(const RunFacts& facts, std::vector<Finding>& findings) {
    std::size_t told = 0, left = 0;
    for (const CaseFacts& one : facts.cases) {
        for (const CheckResult& check : one.judgement.checks) {
            if (check.level != Level::kGate || check.verdict != Verdict::kFail) continue;
            if (one.judgement.verdict == Verdict::kXfail) continue;
            if (told == kMostNamed) {
                ++left;
                continue;
            }
            ++told;
            findings.push_back({"gate_failed",
                                Certainty::kObserved,
                                name_of(one) + " fails its gate '" + check.check + "': " + check.detail + ".",
                                {{one.planned.key, check.check}}});
        }
    }
    if (left > 0) {
        findings.push_back({"gate_failed",
                            Certainty::kObserved,
                            "Another " + plural(left, "gate") + " failed; see the tables.",
                            {}});
    }
}

std::string hypothesis_for(const CaseFacts& one) {
    switch (one.end->signal) {
        case SIGKILL:
            return "The kernel's out-of-memory killer ends processes this way; its log (dmesg) on the host "
                   "would "
                   "tell.";
        case SIGSEGV:
        case SIGBUS:
            return "An invalid access on the host side ends a process this way; a device fault usually comes "
                   "as "
                   "a CUDA error instead.";
        case SIGABRT:
            return "An uncaught exception or a failed assertion ends a process this way; the end of its "
                   "stderr "
                   "would name it.";
        default:
            return {};
    }
}

void find_crashes(const RunFacts& facts, std::vector<Finding>& findings) {
    for (const CaseFacts& one : facts.cases) {
        if (!one.end || one.end->kind != EndKind::kSignalled) continue;
        findings.push_back(
            {"crash",
             Certainty::kObserved,
             name_of(one) + " crashed: " + one.judgement.reason + ", after " + seconds(one.seconds) + ".",
             {{one.planned.key, "case_finished"}}});
        if (std::string cause = hypothesis_for(one); !cause.empty()) {
            findings.push_back({"crash_cause",
                                Certainty::kHypothesis,
                                name_of(one) + ": " + cause,
                                {{one.planned.key, "case_finished"}}});
        }
    }
}

// Cases with one verdict and one reason are told together.
void find_groups(const RunFacts& facts, Verdict verdict, std::string_view rule, std::string_view what,
                 std::vector<Finding>& findings) {
    std::map<std::string, std::vector<Evidence>> by_reason;
    for (const CaseFacts& one : facts.cases) {
        if (one.judgement.verdict == verdict)
            by_reason[one.judgement.reason].push_back({one.planned.key, "verdict"});
    }
    for (auto& [reason, evidence] : by_reason) {
        const std::string text = plural(evidence.size(), "case") + " " + std::string(what) + ": " +
                                 (reason.empty() ? "no reason was given" : reason) + ".";
        findings.push_back({std::string(rule), Certainty::kObserved, text, std::move(evidence)});
    }
}

void find_shortfalls(const RunFacts& facts, std::vector<Finding>& findings) {
    for (const CaseFacts& one : facts.cases) {
        if (!one.judgement.short_of_asked) continue;
        findings.push_back(
            {"short_of_asked",
             Certainty::kObserved,
             name_of(one) + " gave less than was asked: " +
                 (one.judgement.reason.empty() ? "fewer samples or steps" : one.judgement.reason) + ".",
             {{one.planned.key, "samples"}}});
    }
}

// A verdict that came on a later try is not what it would be on the first.
void find_retries(const RunFacts& facts, std::vector<Finding>& findings) {
    if (facts.run.retries == 0) return;
    std::string ends;
    for (const store::FailedTry& one : facts.failed_tries) {
        ends += (ends.empty() ? "" : "; ") + ("try " + std::to_string(one.number)) +
                (one.instance.empty() ? "" : " on " + one.instance.value) + " ended with " +
                std::string(to_string(one.reason)) + (one.message.empty() ? "" : " (" + one.message + ")");
    }
    findings.push_back({"retried",
                        Certainty::kObserved,
                        "The result is that of try " + std::to_string(facts.run.retries + 1) +
                            (ends.empty() ? "." : ": " + ends + "."),
                        {}});
}

}  // namespace

std::string gpu_name(const RunFacts& facts) {
    if (const auto probed = facts.host.find("gpu.0.name"); probed != facts.host.end()) return probed->second;
    for (const CaseFacts& one : facts.cases) {
        if (ran_on_gpu(one)) return fact_of(one, "gpu_name");
    }
    return {};
}

std::string no_gpu_reason(const RunFacts& facts) {
    if (!gpu_name(facts).empty()) return {};
    if (const auto reason = facts.host.find("gpu_reason"); reason != facts.host.end()) return reason->second;
    if (const auto count = facts.host.find("gpu_count"); count != facts.host.end() && count->second == "0")
        return "the worker's probe counted none";
    return "the host was not probed for one";
}

void find_in_run(const RunFacts& facts, std::vector<Finding>& findings) {
    find_retries(facts, findings);
    find_failed_gates(facts, findings);
    find_crashes(facts, findings);
    find_groups(facts, Verdict::kTimeout, "timeout", "did not end in time", findings);
    find_shortfalls(facts, findings);
    find_groups(facts, Verdict::kXpass, "unexpected_pass", "passed although a waiver foretold failure",
                findings);
    find_groups(facts, Verdict::kXfail, "waived", "failed as a waiver foretold", findings);
    find_groups(facts, Verdict::kSkip, "skipped", "skipped", findings);
    find_groups(facts, Verdict::kBlocked, "blocked", "not run", findings);
    find_groups(facts, Verdict::kCancelled, "cancelled", "cancelled", findings);
    find_groups(facts, Verdict::kInconclusive, "inconclusive", "inconclusive", findings);
    find_groups(facts, Verdict::kNoReference, "no_reference", "had nothing to be compared with", findings);
    for (const CaseFacts& one : facts.cases) {
        const bool crashed = one.end && one.end->kind == EndKind::kSignalled;
        if (one.judgement.verdict != Verdict::kError || crashed) continue;
        findings.push_back({"error",
                            Certainty::kObserved,
                            name_of(one) + " gave no verdict: " + one.judgement.reason + ".",
                            {{one.planned.key, "verdict"}}});
    }
}

}  // namespace nsa::reports
