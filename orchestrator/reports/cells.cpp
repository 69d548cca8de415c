#include "reports/cells.hpp"

#include <algorithm>
#include <cmath>

#include "reports/text.hpp"

namespace nsa::reports {

namespace {

int expected_samples(const CaseFacts& one, std::string_view metric) {
    for (const language::Expectation& expectation : one.planned.expected) {
        if (expectation.metric == metric) return expectation.samples;
    }
    return 0;
}

}  // namespace

std::string median_cell(const CaseFacts& one, std::string_view metric, const language::Labels& labels) {
    const std::optional<double> median = median_of(one, metric, labels);
    return median ? number(*median) : std::string(kNoValue);
}

std::string spread_cell(const CaseFacts& one, std::string_view metric, const language::Labels& labels) {
    const Series* series = find_series(one, metric, labels);
    if (series == nullptr || series->samples.empty()) return std::string(kNoValue);
    if (series->samples.size() == 1) return number(series->samples.front());
    if (has_nan(*series)) return number(std::nan(""));  // it has no range
    const auto [least, most] = std::minmax_element(series->samples.begin(), series->samples.end());
    return number(median_of(*series)) + " (" + number(*least) + " to " + number(*most) + ")";
}

std::string samples_cell(const CaseFacts& one, std::string_view metric, const language::Labels& labels) {
    const Series* series = find_series(one, metric, labels);
    const std::size_t count = series == nullptr ? 0 : series->samples.size();
    const int expected = expected_samples(one, metric);
    return std::to_string(count) + (expected > 0 ? " of " + std::to_string(expected) : "");
}

std::string bytes_cell(const CaseFacts& one, std::string_view metric, const language::Labels& labels) {
    constexpr double kMost = 0x1p63;  // beyond, and for NaN, a conversion is undefined
    const std::optional<double> median = median_of(one, metric, labels);
    return median && *median >= 0 && *median < kMost ? bytes(static_cast<std::uint64_t>(*median))
                                                     : std::string(kNoValue);
}

std::string label_cell(const language::Labels& labels, const std::string& name) {
    const auto label = labels.find(name);
    return label == labels.end() ? std::string(kNoValue) : escape(label->second);
}

std::string text_cell(const std::string& text) {
    return text.empty() ? std::string(kNoValue) : escape(text);
}

}  // namespace nsa::reports
