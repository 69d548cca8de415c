#include "reports/findings.hpp"

#include "reports/rules.hpp"

namespace nsa::reports {

std::string_view to_string(Certainty certainty) {
    switch (certainty) {
        case Certainty::kObserved:
            return "observed";
        case Certainty::kInferred:
            return "inferred";
        case Certainty::kHypothesis:
            return "hypothesis";
    }
    return "?";
}

Analysis analyse(const RunFacts& facts) {
    Analysis analysis;
    analysis.oracles = examine_oracles(facts);
    find_in_oracles(analysis.oracles, analysis.findings);
    find_in_run(facts, analysis.findings);
    find_in_parity(facts, analysis.findings);
    find_in_decode(facts, analysis.findings);
    find_in_prefill(facts, analysis.findings);
    find_in_needles(facts, analysis.findings);
    find_in_training(facts, analysis.findings);
    find_in_health(facts, analysis.findings);
    analysis.production = choose_production(facts);
    analysis.recommendations = recommend(facts, analysis);
    return analysis;
}

}  // namespace nsa::reports
