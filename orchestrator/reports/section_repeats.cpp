// What lies between the repetitions of a case: their medians side by side, and the warm-ups that do not
// count.
#include <algorithm>
#include <cmath>
#include <set>

#include "language/evaluate.hpp"
#include "language/judge.hpp"
#include "language/text.hpp"
#include "reports/page.hpp"
#include "reports/repeated.hpp"

namespace nsa::reports {

namespace {

constexpr std::size_t kMostRows = 200;

// The metrics that the plan asks something of.
std::set<std::string> metrics_of(const language::PlannedCase& planned) {
    std::set<std::string> metrics;
    for (const language::Expectation& expected : planned.expected)
        metrics.insert(expected.metric);
    for (const language::Check& check : planned.checks)
        metrics.insert(std::string(language::subject_of(check.rule)));
    metrics.erase("");  // checks of facts
    return metrics;
}

// "3.1%": how far the medians lie apart, as a share of their median.
std::string apart(const std::vector<double>& medians) {
    const double middle = language::median(medians);
    if (medians.size() < 2 || middle == 0 || !std::isfinite(middle)) return "-";
    const auto [least, most] = std::minmax_element(medians.begin(), medians.end());
    return percent((*most - *least) / std::abs(middle));
}

// One row per metric and label set that any repetition measured.
void add_rows(const Repeated& repeated, std::size_t& rows, Table& table) {
    const std::set<std::string> metrics = metrics_of(repeated.cases.front()->planned);
    std::set<std::pair<std::string, language::Labels>> seen;
    for (const CaseFacts* one : repeated.cases) {
        for (const Series& series : one->series) {
            if (!metrics.contains(series.metric) || !seen.insert({series.metric, series.labels}).second)
                continue;
            if (++rows > kMostRows) continue;
            std::vector<double> medians;
            std::string listed;
            for (const CaseFacts* other : repeated.cases) {
                const std::optional<double> median = median_of(*other, series.metric, series.labels);
                if (median) medians.push_back(*median);
                listed += (listed.empty() ? "" : ", ") + (median ? number(*median) : std::string("none"));
            }
            const bool pure = series.unit.empty() || series.unit == "1";
            const std::string row = language::format_labels(series.labels);
            table.add({escape(repeated.name), escape(series.metric), row.empty() ? "-" : escape(row), listed,
                       pure ? "-" : escape(series.unit), apart(medians)});
        }
    }
}

std::string warmups_text(const RunFacts& facts) {
    constexpr std::size_t kMostNames = 10;
    std::string names;
    std::size_t ran = 0;
    for (const CaseFacts& one : facts.warmups) {
        if (one.argv.empty()) continue;  // never started
        if (++ran <= kMostNames) names += (names.empty() ? "" : ", ") + one.planned.key.value;
    }
    if (facts.warmups.empty()) return {};
    if (ran == 0) return "No warm-up was run.\n\n";
    std::string out = plural(ran, "warm-up") + " ran first, decided nothing and stand in no table: " + names;
    if (ran > kMostNames) out += " and " + std::to_string(ran - kMostNames) + " more";
    if (ran < facts.warmups.size())
        out += "; " + std::to_string(facts.warmups.size() - ran) + " never started";
    return escape(out + ".") + "\n\n";
}

}  // namespace

std::string repetitions_section(const Page& page) {
    const RunFacts& facts = page.facts;
    const language::Repeat& repeat = facts.plan.repeat;
    if (!repeat.is_asked()) return {};
    std::string out =
        "## Repetitions\n\nEvery case was planned " + plural(static_cast<std::size_t>(repeat.n), "time") +
        (repeat.interleave ? ", all cases in turn, so that what drifts on the host meets all alike."
                           : ", one after the other.") +
        " Each repetition is judged by itself; all must hold.\n\n" + warmups_text(facts);
    Table table({{"Case"}, {"Metric"}, {"Row"}, {"Medians by repetition", true}, {"Unit"}, {"Apart", true}});
    std::size_t rows = 0;
    std::string figures;
    for (const Repeated& repeated : repeated_cases(facts)) {
        add_rows(repeated, rows, table);
        figures += page.figures_of(repeats_place(repeated.name));
    }
    if (table.empty()) return out + "Nothing was measured.\n\n";
    out += table.text() + "Apart: highest less lowest median, as a share of the median of medians.\n\n";
    if (rows > kMostRows) out += plural(rows - kMostRows, "row") + " more in the JSON report.\n\n";
    return out + figures;
}

}  // namespace nsa::reports
