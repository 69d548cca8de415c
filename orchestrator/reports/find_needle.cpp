#include "language/text.hpp"
#include "reports/rules.hpp"
#include "reports/text.hpp"

namespace nsa::reports {

namespace {

struct Tally {
    std::size_t rows = 0, free_rows = 0, found = 0;
    double chance = 0;   // sum over the free rows
    std::string missed;  // labels of the rows that lack a hit or a value
};

Tally tally_of(const CaseFacts& one) {
    Tally tally;
    for (const Series& hits : one.series) {
        if (hits.metric != "hit_rate" || hits.samples.empty()) continue;
        ++tally.rows;
        if (median_of(one, "forced", hits.labels).value_or(0) == 0) {
            ++tally.free_rows;
            tally.chance += median_of(one, "chance_hit_rate", hits.labels).value_or(0);
        }
        if (median_of(hits) >= 1 && median_of(one, "accuracy", hits.labels).value_or(0) >= 1) {
            ++tally.found;
        } else {
            tally.missed += (tally.missed.empty() ? "" : "; ") + language::format_labels(hits.labels);
        }
    }
    return tally;
}

}  // namespace

void find_in_needles(const RunFacts& facts, std::vector<Finding>& findings) {
    for (const CaseFacts& one : facts.cases) {
        if (one.planned.kind != "needle") continue;
        const Tally tally = tally_of(one);
        if (tally.rows == 0) continue;
        std::string text = name_of(one) + ": every needle is selected and its value arrives in " +
                           std::to_string(tally.found) + " of " + plural(tally.rows, "row");
        if (tally.free_rows > 0) {
            text += "; where selection has a choice, chance alone would hit " +
                    percent(tally.chance / static_cast<double>(tally.free_rows));
        } else {
            text += "; every row's block is selected whatever the query asks, so selection was not tested";
        }
        findings.push_back({"needle",
                            Certainty::kObserved,
                            text + ".",
                            {{one.planned.key, "hit_rate, accuracy, chance_hit_rate"}}});
        if (tally.missed.empty()) continue;
        findings.push_back({"needle_missed",
                            Certainty::kObserved,
                            name_of(one) + ": needles are missed at " + tally.missed + ".",
                            {{one.planned.key, "hit_rate, accuracy, value_error"}}});
    }
}

}  // namespace nsa::reports
