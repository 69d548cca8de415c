// What the rows say, by rules. Every sentence of a report that is more than a copied value comes from here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reports/facts.hpp"

namespace nsa::reports {

enum class Certainty {
    kObserved,    // a row says it
    kInferred,    // follows from rows by a stated rule
    kHypothesis,  // would explain the rows; not proven by them
};
std::string_view to_string(Certainty certainty);  // "observed", ...

// The rows of a case that a finding rests on.
struct Evidence {
    CaseKey key;
    std::string rows;  // "mae, mae_first_key_only"
    bool operator==(const Evidence&) const = default;
};

struct Finding {
    std::string rule;  // stable name, for programs: "published_oracle"
    Certainty certainty = Certainty::kObserved;
    std::string text;
    std::vector<Evidence> evidence;
};

struct Recommendation {
    bool immediate = true;
    std::string text;
};

// One published-oracle case against the fp64 oracle: which of the two is wrong.
struct OracleExamination {
    const CaseFacts* oracle = nullptr;  // the case whose candidate is the published oracle
    std::string branch;
    double mae = 0;                   // its distance to the fp64 oracle
    std::optional<double> first_key;  // its distance to "attends only the first key"
    std::optional<double> limit;      // the bound on mae that the plan sets for the branch
    std::vector<const CaseFacts*> agreeing, disagreeing;  // other routes of the branch against fp64
    std::vector<const CaseFacts*> unmeasured;  // and those that gave no number: nothing is said of them
    enum class Wrong { kOracle, kRoutes, kBoth, kNeither, kUndecided } wrong = Wrong::kUndecided;
    bool first_key_explains = false;
};
std::vector<OracleExamination> examine_oracles(const RunFacts& facts);
// Whether the candidate of a case is the published oracle itself.
bool is_published_oracle(const CaseFacts& facts);

// The production configuration: the fastest passing route per branch.
struct BranchChoice {
    std::string branch;  // "sliding", "compressed", "selected"
    std::string route;   // empty: none can be recommended
    std::string why;
    std::optional<double> ms;  // of one decode step's share, when the choice was timed
    std::vector<CaseKey> evidence;
};
struct ProductionConfig {
    std::vector<BranchChoice> branches;
    std::vector<std::string> env;  // "NSA_USE_FA2=1", in order
    std::string none_because;      // set: nothing can be recommended from this run
};
ProductionConfig choose_production(const RunFacts& facts);

struct Analysis {
    std::vector<OracleExamination> oracles;
    std::vector<Finding> findings;  // the most telling first
    std::vector<Recommendation> recommendations;
    ProductionConfig production;
};
Analysis analyse(const RunFacts& facts);

}  // namespace nsa::reports
