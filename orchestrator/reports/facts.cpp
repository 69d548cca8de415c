#include "reports/facts.hpp"

#include <algorithm>
#include <cmath>

#include "language/params.hpp"

namespace nsa::reports {

const Series* find_series(const CaseFacts& facts, std::string_view metric, const language::Labels& labels) {
    for (const Series& series : facts.series) {
        if (series.metric == metric && (labels.empty() || series.labels == labels)) return &series;
    }
    return nullptr;
}

double median_of(const Series& series) {
    return language::median(series.samples);
}

bool has_nan(const Series& series) {
    return std::any_of(series.samples.begin(), series.samples.end(),
                       [](double value) { return std::isnan(value); });
}

std::optional<double> median_of(const CaseFacts& facts, std::string_view metric,
                                const language::Labels& labels) {
    const Series* series = find_series(facts, metric, labels);
    if (series == nullptr || series->samples.empty()) return std::nullopt;
    return median_of(*series);
}

std::string fact_of(const CaseFacts& facts, std::string_view name) {
    for (const language::Fact& fact : facts.facts) {
        if (fact.name == name) return fact.value;
    }
    return {};
}

std::string fact_of(const CaseFacts& facts, std::string_view name, std::string_view label,
                    std::string_view value) {
    for (const language::Fact& fact : facts.facts) {
        if (fact.name != name) continue;
        const auto found = fact.labels.find(std::string(label));
        if (found != fact.labels.end() && found->second == value) return fact.value;
    }
    return {};
}

std::string param_of(const CaseFacts& facts, std::string_view name) {
    const auto found = facts.planned.params.find(std::string(name));
    return found == facts.planned.params.end() ? std::string{} : language::to_string(found->second);
}

std::string name_of(const CaseFacts& facts) {
    const language::PlannedCase& planned = facts.planned;
    if (planned.title.empty() || planned.title == planned.step || planned.title == planned.key.value)
        return planned.key.value;
    return planned.title + " (" + planned.key.value + ")";
}

double cost_of(const RunFacts& facts) {
    constexpr double kMsPerHour = 3'600'000;
    return static_cast<double>(facts.held_ms) / kMsPerHour * facts.plan.budget.hourly;
}

bool by_golden_file(const CaseFacts& facts) {
    return facts.planned.kind == "parity" && !param_of(facts, "golden").empty();
}

bool ran_on_gpu(const CaseFacts& facts) {
    return fact_of(facts, "device").starts_with("cuda");
}

}  // namespace nsa::reports
