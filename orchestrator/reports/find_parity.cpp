#include <algorithm>
#include <cmath>

#include "reports/rules.hpp"
#include "reports/text.hpp"

namespace nsa::reports {

namespace {

using language::Verdict;

// As good as an honest implementation in the same type: the bound of FlashAttention's own tests.
constexpr double kHonestRounding = 2;

struct BranchParity {
    std::string branch;
    std::vector<const CaseFacts*> passed;
};

std::vector<BranchParity> passed_by_branch(const RunFacts& facts) {
    std::vector<BranchParity> groups;
    for (const CaseFacts& one : facts.cases) {
        if (one.planned.kind != "parity" || is_published_oracle(one) || by_golden_file(one)) continue;
        if (one.judgement.verdict != Verdict::kPass || !median_of(one, "mae")) continue;
        const std::string branch = param_of(one, "branch");
        auto group = std::find_if(groups.begin(), groups.end(),
                                  [&](const BranchParity& known) { return known.branch == branch; });
        if (group == groups.end()) group = groups.insert(groups.end(), {branch, {}});
        group->passed.push_back(&one);
    }
    return groups;
}

Finding agreement(const BranchParity& group) {
    double least = HUGE_VAL, most = 0;
    bool rounding = true;
    Finding finding{"parity_agrees", Certainty::kObserved, "", {}};
    for (const CaseFacts* one : group.passed) {
        const double mae = *median_of(*one, "mae");
        least = std::min(least, mae);
        most = std::max(most, mae);
        const std::optional<double> baseline = median_of(*one, "baseline_mae");
        rounding = rounding && baseline && mae <= kHonestRounding * *baseline;
        finding.evidence.push_back({one->planned.key, "mae, baseline_mae"});
    }
    finding.text = plural(group.passed.size(), "parity case") + " of '" + group.branch + "' agree" +
                   (group.passed.size() == 1 ? "s" : "") + " with the fp64 oracle: MAE " + number(least) +
                   (group.passed.size() == 1 ? "" : " to " + number(most)) + ".";
    if (rounding) {
        finding.text += " That is within twice what a plain implementation in the same type makes: rounding.";
    }
    return finding;
}

// A route that fails and that the first-key hypothesis reproduces has the mask defect of the old oracle.
void find_cause(const CaseFacts& failed, std::vector<Finding>& findings) {
    const std::optional<double> mae = median_of(failed, "mae"), baseline = median_of(failed, "baseline_mae");
    if (!mae || !baseline) return;
    if (std::isnan(*mae)) {
        findings.push_back({"parity_nan",
                            Certainty::kObserved,
                            name_of(failed) + " made numbers that are not finite (" +
                                number(median_of(failed, "nan_count").value_or(0)) + " NaN, " +
                                number(median_of(failed, "inf_count").value_or(0)) + " infinite).",
                            {{failed.planned.key, "mae, nan_count, inf_count"}}});
        return;
    }
    if (*mae <= kHonestRounding * *baseline) {
        findings.push_back({"bound_below_rounding",
                            Certainty::kInferred,
                            name_of(failed) + " fails its bound with MAE " + number(*mae) +
                                ", yet a plain implementation in the same type makes " + number(*baseline) +
                                ": the bound asks for more than the type can hold.",
                            {{failed.planned.key, "mae, baseline_mae"}}});
        return;
    }
    findings.push_back({"parity_off",
                        Certainty::kInferred,
                        name_of(failed) + " is wrong beyond rounding: MAE " + number(*mae) + " is " +
                            number(*mae / *baseline) +
                            " times that of a plain implementation in the same type" +
                            (fact_of(failed, "worst_index").empty()
                                 ? std::string(".")
                                 : "; worst at [" + fact_of(failed, "worst_index") + "]."),
                        {{failed.planned.key, "mae, baseline_mae, worst_index"}}});
}

void find_fallbacks(const CaseFacts& one, std::vector<Finding>& findings) {
    for (const language::Fact& fact : one.facts) {
        if (fact.name != "route_reason" || fact.value.empty()) continue;
        const auto branch = fact.labels.find("branch");
        const std::string where = branch == fact.labels.end() ? "" : " of the " + branch->second + " branch";
        const std::string taken = branch == fact.labels.end()
                                      ? fact_of(one, "route_taken")
                                      : fact_of(one, "route_taken", "branch", branch->second);
        findings.push_back({"route_fallback",
                            Certainty::kObserved,
                            name_of(one) + " took route " + taken + where + " because " + fact.value + ".",
                            {{one.planned.key, "route_asked, route_taken, route_reason"}}});
    }
}

}  // namespace

void find_in_parity(const RunFacts& facts, std::vector<Finding>& findings) {
    for (const BranchParity& group : passed_by_branch(facts))
        findings.push_back(agreement(group));
    for (const CaseFacts& one : facts.cases) {
        const bool failed = one.judgement.verdict == Verdict::kFail;
        if (one.planned.kind == "parity" && failed && !is_published_oracle(one)) find_cause(one, findings);
        find_fallbacks(one, findings);
    }
}

}  // namespace nsa::reports
