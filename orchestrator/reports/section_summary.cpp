// Title, header lines, executive summary, conclusion: what most people read.
#include <algorithm>

#include "language/names.hpp"
#include "reports/page.hpp"
#include "reports/render.hpp"
#include "reports/rules.hpp"

namespace nsa::reports {

namespace {

using language::Status;
using language::Verdict;

// Cases with this verdict, named: "A, B and 3 more".
std::string named(const RunFacts& facts, Verdict verdict, std::size_t most = 3) {
    std::string out;
    std::size_t count = 0;
    for (const CaseFacts& one : facts.cases) {
        if (one.judgement.verdict != verdict) continue;
        if (count < most) out += (out.empty() ? "" : ", ") + name_of(one);
        ++count;
    }
    return count > most ? out + " and " + std::to_string(count - most) + " more" : out;
}

std::size_t count_of(const RunFacts& facts, Verdict verdict) {
    return static_cast<std::size_t>(
        std::count_if(facts.cases.begin(), facts.cases.end(),
                      [&](const CaseFacts& one) { return one.judgement.verdict == verdict; }));
}

const CaseFacts* first_with(const RunFacts& facts, Verdict verdict) {
    const auto found = std::find_if(facts.cases.begin(), facts.cases.end(),
                                    [&](const CaseFacts& one) { return one.judgement.verdict == verdict; });
    return found == facts.cases.end() ? nullptr : &*found;
}

// Why cases have this verdict: the first reason, and whether there are others. Empty: none was given.
std::string reason_of(const RunFacts& facts, Verdict verdict) {
    const std::string& first = first_with(facts, verdict)->judgement.reason;
    const bool others = std::any_of(facts.cases.begin(), facts.cases.end(), [&](const CaseFacts& one) {
        return one.judgement.verdict == verdict && one.judgement.reason != first;
    });
    return first.empty() || !others ? first : first + ", among other reasons";
}

std::string passed_of_all(const RunFacts& facts) {
    return std::to_string(count_of(facts, Verdict::kPass)) + " of " + plural(facts.cases.size(), "case") +
           " passed";
}

// "2 FAIL (A, B: reason)"
std::string failure_clause(const RunFacts& facts) {
    std::string out;
    for (Verdict verdict : {Verdict::kFail, Verdict::kXpass, Verdict::kTimeout}) {
        if (first_with(facts, verdict) == nullptr) continue;
        const std::string reason = reason_of(facts, verdict);
        out += (out.empty() ? "" : "; ") + std::to_string(count_of(facts, verdict)) + " " +
               std::string(to_string(verdict)) + " (" + named(facts, verdict) +
               (reason.empty() ? "" : ": " + reason) + ")";
    }
    return out;
}

std::string shortfall_clause(const RunFacts& facts) {
    std::string out;
    for (Verdict verdict : {Verdict::kSkip, Verdict::kError, Verdict::kBlocked, Verdict::kNoReference,
                            Verdict::kInconclusive, Verdict::kCancelled, Verdict::kXfail}) {
        if (first_with(facts, verdict) == nullptr) continue;
        const std::string reason = reason_of(facts, verdict);
        out += (out.empty() ? "" : "; ") + std::to_string(count_of(facts, verdict)) + " " +
               std::string(to_string(verdict)) + (reason.empty() ? "" : " (" + reason + ")");
    }
    const auto short_cases = static_cast<std::size_t>(
        std::count_if(facts.cases.begin(), facts.cases.end(),
                      [](const CaseFacts& one) { return one.judgement.short_of_asked; }));
    if (short_cases > 0)
        out += (out.empty() ? "" : "; ") + plural(short_cases, "case") + " gave less than asked";
    return out;
}

std::string go_or_not(const RunFacts& facts) {
    switch (*facts.run.status) {
        case Status::kPass:
            return "**Go**";
        case Status::kPartialPass:
            return "**Conditional go**: only for what passed";
        case Status::kFail:
            return "**No-go**: a gate failed";
        case Status::kInfrastructure:
        case Status::kNothingRan:
        case Status::kInconclusive:
        case Status::kCancelled:
            break;
    }
    return "**No-go**: there is no verdict";
}

std::string where(const RunFacts& facts) {
    const std::string gpu = gpu_name(facts);
    const std::string instance = facts.run.instance.empty() ? "no instance" : facts.run.instance.value;
    const std::string without = facts.host.empty() ? "host not probed" : "no GPU";
    return escape(instance) + ", " + (gpu.empty() ? without : escape(gpu));
}

// What ran as nsa-core: its source bundle where it was built on the host, else where it was installed.
std::string core_of(const RunFacts& facts) {
    constexpr std::string_view kFolder = "/tools/nsa_core-";  // as instances/core_build.cpp lays it out
    for (const CaseFacts& one : facts.cases) {
        if (one.planned.argv.empty() || one.planned.argv.front() != "nsa-core" || one.argv.empty()) continue;
        const std::string& program = one.argv.front();
        const std::size_t at = program.find(kFolder);
        if (at == std::string::npos) return "; nsa-core as installed: " + escape(program);
        const std::string bundle = program.substr(at + kFolder.size());
        return "; nsa-core built on the host from source bundle " +
               escape(bundle.substr(0, bundle.find('/')));
    }
    return {};
}

std::string code_of(const RunFacts& facts) {
    const language::Code& code = facts.plan.code;
    if (facts.plan.working_tree) {
        const std::string ref = code.ref.empty() ? "" : code.ref + " ";
        return escape(code.repo + " " + ref + language::describe(*facts.plan.working_tree) +
                      ", as found at the submission");
    }
    if (code.repo.empty() && code.ref.empty() && code.commit.empty())
        return "not stated in the spec" + core_of(facts);
    const std::string at = code.commit.empty() ? "commit not stated" : code.commit;
    return escape((code.repo.empty() ? "" : code.repo + " ") + (code.ref.empty() ? "" : code.ref) + "@" +
                  at) +
           " (as the spec states it)";
}

// Why the status is what it is, whatever the try.
std::string reason_for_status(const RunFacts& facts) {
    const std::string failures = failure_clause(facts), shortfalls = shortfall_clause(facts);
    switch (*facts.run.status) {
        case Status::kPass:
            return "every gate held: " + passed_of_all(facts) + (shortfalls.empty() ? "" : "; " + shortfalls);
        case Status::kPartialPass:
            return passed_of_all(facts) + "; " +
                   (shortfalls.empty() ? "fewer samples than asked" : shortfalls);
        case Status::kFail:
            return (failures.empty() ? std::string("a gate failed") : failures) + "; " + passed_of_all(facts);
        case Status::kInfrastructure:
            return "the system failed, not the subject: " +
                   (facts.run.message.empty() ? (shortfalls.empty() ? "see the cases" : shortfalls)
                                              : facts.run.message);
        case Status::kNothingRan:
            return "no gate gave a sample" + (shortfalls.empty() ? "" : ": " + shortfalls);
        case Status::kInconclusive:
            return "the rows do not decide" + (shortfalls.empty() ? "" : ": " + shortfalls);
        case Status::kCancelled:
            return "the run was cancelled" +
                   (facts.run.message.empty() ? "" : " (" + facts.run.message + ")") + "; " +
                   passed_of_all(facts);
    }
    return {};
}

// What the host was held for, and what that costs at the price that the spec states. Empty: none was held.
std::string host_line(const RunFacts& facts) {
    if (facts.held_ms <= 0) return {};
    std::string line = "- Host: held for " + seconds(static_cast<double>(facts.held_ms) / 1000);
    if (facts.run.retries > 0) line += " over " + std::to_string(facts.run.retries + 1) + " tries";
    if (facts.plan.budget.hourly <= 0) return line + "; the spec states no price (budget.hourly)\n";
    line += ", " + money(cost_of(facts)) + " at " + number(facts.plan.budget.hourly) + " an hour";
    if (facts.plan.budget.total > 0) line += "; budget " + number(facts.plan.budget.total);
    return line + "\n";
}

std::string sentence(std::string text) {
    if (!text.empty() && text.back() != '.') text += '.';
    return text;
}

}  // namespace

std::string status_reason(const RunFacts& facts) {
    const std::string which = on_which_try(facts);
    return reason_for_status(facts) + (which.empty() ? "" : "; " + which);
}

std::string header_section(const Page& page) {
    const RunFacts& facts = page.facts;
    std::string out = "# " + escape(file_stem(facts)) + "\n\n";
    Table table({{"Field"}, {"Value"}});
    table.add({"Date (UTC)", utc(facts.run.finished_ms)});
    table.add({"Role", escape(facts.plan.report.role)});
    table.add({"Subject",
               escape(facts.plan.report.subject.empty() ? facts.run.subject : facts.plan.report.subject)});
    table.add({"Version", "v" + std::to_string(facts.report.version)});
    table.add({"Environment", where(facts)});
    table.add({"Repo branch@sha", code_of(facts)});
    table.add(
        {"Out Dir", facts.run.artifact_dir.empty() ? "nothing came home" : escape(facts.run.artifact_dir)});
    table.add({"Run", escape(facts.run.run.value) + ", attempt " +
                          std::to_string(facts.run.attempt ? facts.run.attempt->attempt.value : 0)});
    table.add({"Go/No-Go", go_or_not(facts)});
    return out + table.text();
}

std::string summary_section(const Page& page) {
    const RunFacts& facts = page.facts;
    std::string out = "## Executive Summary\n\n**Status**: **" + escape(to_string(*facts.run.status)) +
                      "** - " + escape(sentence(status_reason(facts))) + "\n\n";
    out += "- Cases: " + escape(tally(facts)) + "\n";
    if (facts.run.started_ms > 0) {
        out += "- Duration: " +
               seconds(static_cast<double>(facts.run.finished_ms - facts.run.started_ms) / 1000) +
               " from the first launch to the verdict\n";
    } else {
        out += "- Nothing was launched\n";
    }
    out += host_line(facts);
    // The inferences are what a reader would not see in the tables.
    for (const Finding& finding : page.analysis.findings) {
        if (finding.certainty == Certainty::kInferred) out += "- " + escape(finding.text) + "\n";
    }
    return out + "\n";
}

std::string conclusion_section(const Page& page) {
    const RunFacts& facts = page.facts;
    std::string out = "## Conclusion\n\nThe verdict is **" + escape(to_string(*facts.run.status)) +
                      "**: " + escape(sentence(status_reason(facts))) + "\n\n";
    for (const OracleExamination& examined : page.analysis.oracles) {
        if (examined.wrong == OracleExamination::Wrong::kOracle) {
            out +=
                escape(
                    "Earlier failures of the " + examined.branch +
                    " branch that were measured against the published oracle say nothing about its routes: "
                    "that oracle is wrong" +
                    (examined.first_key_explains ? " (it sees the first key only)" : "") +
                    ", and the routes measured here agree with fp64.") +
                "\n\n";
        }
    }
    std::string chosen;
    for (const BranchChoice& choice : page.analysis.production.branches) {
        if (!choice.route.empty())
            chosen += (chosen.empty() ? "" : ", ") + choice.branch + " by " + choice.route;
    }
    if (!chosen.empty()) {
        out +=
            escape("For production this run supports " + chosen + "; see Production Configuration.") + "\n\n";
    } else {
        out += escape("For production this run recommends nothing: " + page.analysis.production.none_because +
                      ".") +
               "\n\n";
    }
    return out;
}

}  // namespace nsa::reports
