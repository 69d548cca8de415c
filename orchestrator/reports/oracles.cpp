// The published oracle under examination. SDPA with one query and is_causal=True is aligned top-left: it sees
// the first key only. Whether that happened is decided by the rows, never assumed.
#include <algorithm>
#include <cmath>

#include "reports/rules.hpp"
#include "reports/text.hpp"

namespace nsa::reports {

namespace {

using Wrong = OracleExamination::Wrong;
using language::Verdict;

// The first-key hypothesis holds when its residual is rounding: twice what a plain implementation in the same
// type makes, or a thousandth of the error that it must explain.
constexpr double kResidualOfBaseline = 2, kResidualOfError = 1e-3;

// The tightest bound that the plan puts on `mae` in the case; empty: none.
std::optional<double> mae_limit(const CaseFacts& facts) {
    std::optional<double> limit;
    for (const language::Check& check : facts.planned.checks) {
        const auto* rule = std::get_if<language::ThresholdCheck>(&check.rule);
        if (rule == nullptr || rule->metric != "mae") continue;
        if (rule->op != language::Op::kLess && rule->op != language::Op::kLessEqual) continue;
        limit = limit ? std::min(*limit, rule->value) : rule->value;
    }
    return limit;
}

bool is_parity_of(const CaseFacts& facts, const std::string& branch) {
    return facts.planned.kind == "parity" && param_of(facts, "branch") == branch;
}

void compare_routes(const RunFacts& facts, OracleExamination& examined) {
    for (const CaseFacts& other : facts.cases) {
        if (!is_parity_of(other, examined.branch) || is_published_oracle(other) || by_golden_file(other))
            continue;
        if (!median_of(other, "mae")) {
            examined.unmeasured.push_back(&other);
            continue;
        }
        if (const std::optional<double> limit = mae_limit(other))
            examined.limit = examined.limit ? std::min(*examined.limit, *limit) : limit;
        if (other.judgement.verdict == Verdict::kPass) examined.agreeing.push_back(&other);
        if (other.judgement.verdict == Verdict::kFail) examined.disagreeing.push_back(&other);
    }
}

Wrong decide(const OracleExamination& examined) {
    if (!examined.limit || std::isnan(examined.mae)) return Wrong::kUndecided;
    const bool oracle_off = examined.mae > *examined.limit;
    if (examined.agreeing.empty() && examined.disagreeing.empty()) return Wrong::kUndecided;
    const bool routes_off = examined.agreeing.empty();
    if (oracle_off) return routes_off ? Wrong::kBoth : Wrong::kOracle;
    return examined.disagreeing.empty() ? Wrong::kNeither : Wrong::kRoutes;
}

OracleExamination examine(const RunFacts& facts, const CaseFacts& oracle, double mae) {
    OracleExamination examined;
    examined.oracle = &oracle;
    examined.branch = param_of(oracle, "branch");
    examined.mae = mae;
    examined.first_key = median_of(oracle, "mae_first_key_only");
    examined.limit = mae_limit(oracle);
    compare_routes(facts, examined);
    examined.wrong = decide(examined);
    const double rounding = kResidualOfBaseline * median_of(oracle, "baseline_mae").value_or(0);
    examined.first_key_explains =
        examined.first_key && *examined.first_key <= std::max(rounding, kResidualOfError * mae);
    return examined;
}

std::string limit_text(const OracleExamination& examined) {
    return examined.limit ? number(*examined.limit) : "none set";
}

Finding wrong_oracle(const OracleExamination& examined) {
    const bool proven = examined.first_key_explains;
    const double nearest = median_of(*examined.agreeing.front(), "mae").value_or(std::nan(""));
    Finding finding{"published_oracle", proven ? Certainty::kInferred : Certainty::kHypothesis, "", {}};
    finding.text = "The published oracle of the " + examined.branch +
                   " branch is wrong, not the routes: it is MAE " + number(examined.mae) +
                   " away from the fp64 explicit-mask oracle (bound " + limit_text(examined) +
                   "), with which " + plural(examined.agreeing.size(), "route") + " of this run agree" +
                   (examined.agreeing.size() == 1 ? "s" : "") + " (MAE " + number(nearest) + " for " +
                   name_of(*examined.agreeing.front()) + ").";
    if (proven) {
        finding.text +=
            " Cause: SDPA with one query and is_causal=True is aligned top-left and sees key 0 only; "
            "attending only the first key reproduces it with a residual of " +
            number(*examined.first_key) + ".";
    } else if (examined.first_key) {
        finding.text += " Attending only the first key does not explain it (residual " +
                        number(*examined.first_key) + "); the cause is open.";
    }
    return finding;
}

Finding judged_oracle(const OracleExamination& examined) {
    switch (examined.wrong) {
        case Wrong::kOracle:
            return wrong_oracle(examined);
        case Wrong::kRoutes:
            return {"published_oracle",
                    Certainty::kInferred,
                    "The published oracle of the " + examined.branch + " branch agrees with fp64 (MAE " +
                        number(examined.mae) + "), so failures against it are failures of the routes.",
                    {}};
        case Wrong::kBoth:
            return {"published_oracle",
                    Certainty::kObserved,
                    "Both the published oracle of the " + examined.branch + " branch (MAE " +
                        number(examined.mae) +
                        ") and every other route of it differ from fp64 by more than " +
                        limit_text(examined) + ".",
                    {}};
        case Wrong::kNeither:
            return {"published_oracle",
                    Certainty::kObserved,
                    "The published oracle of the " + examined.branch + " branch agrees with fp64 (MAE " +
                        number(examined.mae) + ") and so do the routes.",
                    {}};
        case Wrong::kUndecided:
            break;
    }
    return {
        "published_oracle",
        Certainty::kObserved,
        "The published oracle of the " + examined.branch + " branch is MAE " + number(examined.mae) +
            " away from fp64; no other route of the branch was measured against a bound here, so this run "
            "does not say which is wrong.",
        {}};
}

}  // namespace

bool is_published_oracle(const CaseFacts& facts) {
    return fact_of(facts, "route_taken") == "sdpa_causal_one_query";
}

std::vector<OracleExamination> examine_oracles(const RunFacts& facts) {
    std::vector<OracleExamination> examinations;
    for (const CaseFacts& candidate : facts.cases) {
        if (candidate.planned.kind != "parity" || !is_published_oracle(candidate)) continue;
        if (const std::optional<double> mae = median_of(candidate, "mae"))
            examinations.push_back(examine(facts, candidate, *mae));
    }
    return examinations;
}

void find_in_oracles(const std::vector<OracleExamination>& oracles, std::vector<Finding>& findings) {
    for (const OracleExamination& examined : oracles) {
        Finding finding = judged_oracle(examined);
        finding.evidence.push_back({examined.oracle->planned.key, "mae, mae_first_key_only, baseline_mae"});
        for (const auto* group : {&examined.agreeing, &examined.disagreeing}) {
            for (const CaseFacts* other : *group)
                finding.evidence.push_back({other->planned.key, "mae"});
        }
        findings.push_back(std::move(finding));
    }
}

}  // namespace nsa::reports
