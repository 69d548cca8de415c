#include "reports/cells.hpp"
#include "reports/page.hpp"
#include "reports/text.hpp"

namespace nsa::reports {

namespace {

std::string forced_cell(const CaseFacts& one, const language::Labels& labels) {
    const std::optional<double> forced = median_of(one, "forced", labels);
    return forced ? (*forced != 0 ? "yes" : "no") : std::string(kNoValue);
}

// The worst of the trials; NaN when one is.
std::string largest_cell(const CaseFacts& one, const language::Labels& labels) {
    const Series* errors = find_series(one, "value_error", labels);
    if (errors == nullptr || errors->samples.empty()) return std::string(kNoValue);
    double worst = errors->samples.front();
    for (const double error : errors->samples) {
        if (!(error <= worst)) worst = error;
        if (worst != worst) break;
    }
    return number(worst);
}

}  // namespace

std::string needle_table(const std::vector<const CaseFacts*>& cases) {
    const bool name_cases = cases.size() > 1;
    std::vector<Table::Column> columns;
    if (name_cases) columns.push_back({"Case"});
    for (const char* title :
         {"S", "Depth %", "Forced", "Hit rate", "By chance", "Accuracy", "Largest error", "Needles"})
        columns.push_back({title, true});
    Table table(std::move(columns));
    for (const CaseFacts* one : cases) {
        for (const Series& hits : one->series) {
            if (hits.metric != "hit_rate" || hits.samples.empty()) continue;
            std::vector<std::string> row;
            if (name_cases) row.push_back(escape(name_of(*one)));
            row.insert(row.end(),
                       {label_cell(hits.labels, "S"), label_cell(hits.labels, "depth"),
                        forced_cell(*one, hits.labels), number(median_of(hits)),
                        median_cell(*one, "chance_hit_rate", hits.labels),
                        median_cell(*one, "accuracy", hits.labels), largest_cell(*one, hits.labels),
                        samples_cell(*one, "value_error", hits.labels)});
            table.add(std::move(row));
        }
    }
    if (table.empty()) return {};
    return table.text() +
           "Hit rate: groups that select the needle's block; by chance: of the same query without the "
           "needle. "
           "Accuracy: heads whose output is the needle's value. Forced: the block is selected whatever the "
           "query "
           "asks.\n\n";
}

}  // namespace nsa::reports
