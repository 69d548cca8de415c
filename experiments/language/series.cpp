#include "language/series.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "language/judge.hpp"

namespace nsa::language {

std::vector<double> Series::values() const {
    std::vector<double> values;
    values.reserve(samples.size());
    for (const auto& [index, value] : samples)
        values.push_back(value);
    return values;
}

Observations::Observations(std::span<const Record> records) {
    for (const Record& record : records) {
        if (const auto* measured = std::get_if<Measurement>(&record)) {
            Series& series = metrics_[measured->metric][measured->labels];
            series.unit = measured->unit;
            series.samples.emplace_back(measured->sample, measured->value);
        } else if (const auto* fact = std::get_if<Fact>(&record)) {
            facts_.push_back(*fact);
        } else {
            skips_.push_back(std::get<Skip>(record));
        }
    }
    const auto by_index = [](const auto& a, const auto& b) { return a.first < b.first; };
    for (auto& [metric, rows] : metrics_) {
        for (auto& [labels, series] : rows)
            std::stable_sort(series.samples.begin(), series.samples.end(), by_index);
    }
}

const Rows& Observations::rows_of(std::string_view metric) const {
    static const Rows kNone;
    const auto found = metrics_.find(metric);
    return found == metrics_.end() ? kNone : found->second;
}

double mean(std::span<const double> values) {
    if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

namespace {

// NaN has no place in an order: sorting values with one among them is undefined.
bool has_order(const std::vector<double>& values) {
    return !values.empty() &&
           std::none_of(values.begin(), values.end(), [](double value) { return std::isnan(value); });
}

}  // namespace

double median(std::vector<double> values) {
    if (!has_order(values)) return std::numeric_limits<double>::quiet_NaN();
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    if (values.size() % 2 == 1) return *middle;
    const double below = *std::max_element(values.begin(), middle);
    return below == *middle ? below : below + (*middle - below) / 2;
}

double quantile(std::vector<double> values, double part) {
    if (!has_order(values)) return std::numeric_limits<double>::quiet_NaN();
    std::sort(values.begin(), values.end());
    const double place = part * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, values.size() - 1);
    if (values[below] == values[above]) return values[below];
    return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

}  // namespace nsa::language
