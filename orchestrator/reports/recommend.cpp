#include <algorithm>
#include <set>

#include "language/shell_word.hpp"
#include "reports/rules.hpp"
#include "reports/text.hpp"

namespace nsa::reports {

namespace {

using language::EndKind;
using language::Level;
using language::Status;
using language::Verdict;

class Adviser {
  public:
    Adviser(const RunFacts& facts, const Analysis& analysis) : facts_(facts), analysis_(analysis) {}

    std::vector<Recommendation> advise() {
        advise_on_oracles();
        advise_on_routes();
        advise_on_ends();
        advise_on_skips();
        advise_on_numbers();
        advise_on_run();
        return std::move(advice_);
    }

  private:
    void now(std::string text) { add(true, std::move(text)); }
    void later(std::string text) { add(false, std::move(text)); }
    void add(bool immediate, std::string text) {
        if (told_.insert(text).second) advice_.push_back({immediate, std::move(text)});
    }
    std::size_t count(Verdict verdict) const {
        return static_cast<std::size_t>(
            std::count_if(facts_.cases.begin(), facts_.cases.end(),
                          [&](const CaseFacts& one) { return one.judgement.verdict == verdict; }));
    }
    bool found(std::string_view rule) const {
        return std::any_of(analysis_.findings.begin(), analysis_.findings.end(),
                           [&](const Finding& finding) { return finding.rule == rule; });
    }

    void advise_on_oracles() {
        for (const OracleExamination& examined : analysis_.oracles) {
            if (examined.wrong != OracleExamination::Wrong::kOracle) continue;
            now("Withdraw verdicts that rest on the published oracle of the " + examined.branch +
                " branch and judge routes against the fp64 explicit-mask oracle instead.");
            if (examined.first_key_explains) {
                later(
                    "Never call SDPA with is_causal=True and fewer queries than keys in a test: give it an "
                    "explicit mask; NSA_SDPA_AUDIT=1 reports such calls.");
            }
        }
    }

    void advise_on_routes() {
        for (const CaseFacts& one : facts_.cases) {
            if (one.planned.kind != "parity" || one.judgement.verdict != Verdict::kFail ||
                is_published_oracle(one))
                continue;
            const std::string branch = param_of(one, "branch"), route = fact_of(one, "route_taken");
            const auto choice =
                std::find_if(analysis_.production.branches.begin(), analysis_.production.branches.end(),
                             [&](const BranchChoice& known) { return known.branch == branch; });
            const bool replaced = choice != analysis_.production.branches.end() && !choice->route.empty();
            now("Do not use route " + (route.empty() ? param_of(one, "route") : route) + " for '" + branch +
                "'" + (replaced ? "; " + choice->route + " passed here." : " until its parity holds."));
        }
    }

    void advise_on_ends() {
        for (const CaseFacts& one : facts_.cases) {
            if (one.end && one.end->kind == EndKind::kSignalled)
                now("Read the stderr of " + name_of(one) +
                    " (linked above) and repeat it alone with the command "
                    "given; on a GPU, once more under compute-sanitizer.");
            if (one.judgement.verdict == Verdict::kTimeout)
                now("Look at how far " + name_of(one) +
                    " came before raising its limit: a time limit that is hit is no proof of a hang.");
        }
        if (count(Verdict::kXpass) > 0)
            now("Remove the waivers of the cases that passed, or find out why they did.");
    }

    void advise_on_skips() {
        if (count(Verdict::kSkip) == 0) return;
        if (!no_gpu_reason(facts_).empty()) {
            now("Run the same spec on an instance with a GPU to decide what was skipped here: nsactl "
                "submit " +
                language::shell_word(facts_.spec_file.empty() ? facts_.plan.name + ".yaml"
                                                              : facts_.spec_file) +
                " --instance NAME.");
        } else {
            now("Decide for each skipped case whether its condition can be met on this host; a skip is no "
                "pass.");
        }
    }

    void advise_on_numbers() {
        if (found("decode_noise") || found("prefill_validity"))
            later(
                "Lock the clocks, keep other work off the host or take more samples before comparing times: "
                "the spread here hides differences.");
        if (found("decode_flat"))
            later(
                "Test the hypothesis that a decode step is bound by launches: capture it in a CUDA graph, or "
                "compare batch sizes.");
        if (found("training_no_progress"))
            later("Train for more steps before judging the loss, or lower the learning rate.");
        if (found("bound_below_rounding"))
            now("State parity bounds relative to what a plain implementation in the same type makes "
                "(baseline_mae).");
        const bool warned = std::any_of(facts_.cases.begin(), facts_.cases.end(), [](const CaseFacts& one) {
            return std::any_of(one.judgement.checks.begin(), one.judgement.checks.end(),
                               [](const auto& check) {
                                   return check.level == Level::kWarn && check.verdict != Verdict::kPass;
                               });
        });
        if (warned)
            later("Look into the warnings of the tables: they decide nothing and still say something.");
    }

    void advise_on_run() {
        switch (*facts_.run.status) {
            case Status::kInfrastructure:
                now("Repair the host or the link and run again: this run says nothing about its subject.");
                break;
            case Status::kCancelled:
                now("Run again when the result is still wanted: this run was cancelled.");
                break;
            case Status::kNothingRan:
                if (advice_.empty()) now("Give the experiment at least one gate that can run on this host.");
                break;
            case Status::kInconclusive:
                now("Repeat with more samples or on a quieter host: the rows do not decide.");
                break;
            case Status::kPass:
            case Status::kPartialPass:
            case Status::kFail:
                break;
        }
    }

    const RunFacts& facts_;
    const Analysis& analysis_;
    std::vector<Recommendation> advice_;
    std::set<std::string> told_;
};

}  // namespace

std::vector<Recommendation> recommend(const RunFacts& facts, const Analysis& analysis) {
    return Adviser(facts, analysis).advise();
}

}  // namespace nsa::reports
