#include "language/evaluate.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "language/names.hpp"
#include "language/text.hpp"

namespace nsa::language {

namespace {

using Results = std::vector<CheckResult>;

CheckResult result_for(const Labels& row, Verdict verdict, std::string detail) {
    CheckResult result;
    result.row = row;
    result.verdict = verdict;
    result.detail = std::move(detail);
    return result;
}

Results no_samples(std::string_view metric) {
    return {result_for({}, Verdict::kError, "no samples of " + std::string(metric))};
}

bool compare(double measured, Op op, double limit) {
    switch (op) {
        case Op::kLess:
            return measured < limit;
        case Op::kLessEqual:
            return measured <= limit;
        case Op::kGreater:
            return measured > limit;
        case Op::kGreaterEqual:
            return measured >= limit;
        case Op::kEqual:
            return measured == limit;
    }
    return false;
}

// Limit with the slack on the forgiving side. Equality has two sides: see holds().
double slackened(const ThresholdCheck& rule) {
    const double slack = rule.tolerance * std::abs(rule.value);
    const bool upper = rule.op == Op::kLess || rule.op == Op::kLessEqual;
    const bool lower = rule.op == Op::kGreater || rule.op == Op::kGreaterEqual;
    return rule.value + (upper ? slack : lower ? -slack : 0.0);
}

// NaN compares false with everything, so it never holds.
bool holds(const ThresholdCheck& rule, double measured) {
    if (rule.op == Op::kEqual && rule.tolerance > 0) {
        return std::abs(measured - rule.value) <= rule.tolerance * std::abs(rule.value);
    }
    return compare(measured, rule.op, slackened(rule));
}

// The one number of a row that is compared. kEach: the first sample that breaks the rule, else the last one.
double aggregate_of(const ThresholdCheck& rule, const std::vector<double>& values) {
    const bool has_nan = std::any_of(values.begin(), values.end(), [](double v) { return std::isnan(v); });
    if (has_nan && rule.aggregate != Aggregate::kLast) return std::nan("");
    switch (rule.aggregate) {
        case Aggregate::kMedian:
            return median(values);
        case Aggregate::kMin:
            return *std::min_element(values.begin(), values.end());
        case Aggregate::kMax:
            return *std::max_element(values.begin(), values.end());
        case Aggregate::kLast:
            return values.back();
        case Aggregate::kMean:
            return mean(values);
        case Aggregate::kEach:
            break;
    }
    const auto broken =
        std::find_if_not(values.begin(), values.end(), [&](double v) { return holds(rule, v); });
    return broken == values.end() ? values.back() : *broken;
}

std::string_view negated(Op op) {
    switch (op) {
        case Op::kLess:
            return ">=";
        case Op::kLessEqual:
            return ">";
        case Op::kGreater:
            return "<=";
        case Op::kGreaterEqual:
            return "<";
        case Op::kEqual:
            return "!=";
    }
    return "?";
}

// Rounded for the reader, unless that would make it look like the limit: "2 > 2" explains nothing.
std::string shown_beside(double measured, double limit) {
    const std::string rounded = rounded_number(measured);
    return rounded == rounded_number(limit) ? format_number(measured) : rounded;
}

Results evaluate_rule(const ThresholdCheck& rule, const Observations& seen) {
    Results results;
    for (const auto& [labels, series] : seen.rows_of(rule.metric)) {
        if (!rule.unit.empty() && rule.unit != series.unit) {
            results.push_back(result_for(
                labels, Verdict::kError,
                rule.metric + " is measured in '" + series.unit + "', the check says '" + rule.unit + "'"));
            continue;
        }
        const double measured = aggregate_of(rule, series.values());
        const double limit = slackened(rule);
        const bool good = holds(rule, measured);
        const std::string relation(std::isnan(measured) ? "is not"
                                   : good               ? name_of(rule.op)
                                                        : negated(rule.op));
        results.push_back(result_for(
            labels, good ? Verdict::kPass : Verdict::kFail,
            rule.metric + " " + shown_beside(measured, limit) + " " + relation + " " +
                (std::isnan(measured) ? std::string(name_of(rule.op)) + " " : "") + format_number(limit)));
        results.back().measured = measured;
        results.back().limit = limit;
        results.back().unit = series.unit;
    }
    return results.empty() ? no_samples(rule.metric) : results;
}

// The sample with this index; a series of one sample is a constant and stands for all.
std::optional<double> sample_at(const Series& series, int index) {
    if (series.samples.size() == 1) return series.samples.front().second;
    const auto found = std::find_if(series.samples.begin(), series.samples.end(),
                                    [&](const auto& sample) { return sample.first == index; });
    return found == series.samples.end() ? std::nullopt : std::optional(found->second);
}

std::optional<double> sum_at(const std::vector<const Series*>& parts, int index) {
    double sum = 0;
    for (const Series* part : parts) {
        const std::optional<double> value = sample_at(*part, index);
        if (!value) return std::nullopt;
        sum += *value;
    }
    return sum;
}

double relative_difference(double a, double b) {
    return a == b ? 0 : std::abs(a - b) / std::max(std::abs(a), std::abs(b));
}

CheckResult compare_medians(const IdentityCheck& rule, const Labels& labels, const Series& total,
                            const std::vector<const Series*>& parts) {
    const double measured = median(total.values());
    double sum = 0;
    for (const Series* part : parts)
        sum += median(part->values());
    const double difference = relative_difference(measured, sum);
    CheckResult result =
        result_for(labels, difference <= rule.tolerance ? Verdict::kPass : Verdict::kFail,
                   rule.total + " " + rounded_number(measured) + ", " + join(rule.parts, " + ") + " " +
                       rounded_number(sum) + ": " + rounded_number(100 * difference) + "% apart, allowed " +
                       format_number(100 * rule.tolerance) + "%");
    result.measured = measured;
    result.limit = sum;
    return result;
}

CheckResult compare_exactly(const IdentityCheck& rule, const Labels& labels, const Series& total,
                            const std::vector<const Series*>& parts) {
    CheckResult result = result_for(labels, Verdict::kPass, "");
    for (const auto& [index, value] : total.samples) {
        const std::optional<double> sum = sum_at(parts, index);
        const std::string which =
            "sample " + std::to_string(index) + ": " + rule.total + " " + format_number(value);
        if (!sum) {
            return result_for(labels, Verdict::kNoReference,
                              which + " has no counterpart in " + join(rule.parts));
        }
        result.measured = value;
        result.limit = *sum;
        if (!(value == *sum)) {
            result.verdict = Verdict::kFail;
            result.detail = which + " is not " + join(rule.parts, " + ") + " " + format_number(*sum);
            return result;
        }
    }
    result.detail = rule.total + " equals " + join(rule.parts, " + ") + " in all " +
                    std::to_string(total.samples.size()) + " samples";
    return result;
}

Results evaluate_rule(const IdentityCheck& rule, const Observations& seen) {
    Results results;
    for (const auto& [labels, total] : seen.rows_of(rule.total)) {
        std::vector<const Series*> parts;
        std::string missing;
        for (const std::string& part : rule.parts) {
            const Rows& rows = seen.rows_of(part);
            const auto row = rows.find(labels);
            if (row != rows.end()) {
                parts.push_back(&row->second);
            } else if (missing.empty()) {
                missing = part;
            }
        }
        if (!missing.empty() || parts.empty()) {
            results.push_back(result_for(labels, Verdict::kNoReference,
                                         "no samples of " + missing + " to compare " + rule.total + " with"));
        } else if (rule.tolerance > 0) {
            results.push_back(compare_medians(rule, labels, total, parts));
        } else {
            results.push_back(compare_exactly(rule, labels, total, parts));
        }
        results.back().unit = total.unit;
    }
    return results.empty() ? no_samples(rule.total) : results;
}

Results evaluate_rule(const FiniteCheck& rule, const Observations& seen) {
    Results results;
    for (const std::string& metric : rule.metrics) {
        const Rows& rows = seen.rows_of(metric);
        if (rows.empty()) results.push_back(no_samples(metric).front());
        for (const auto& [labels, series] : rows) {
            const auto bad = std::find_if(series.samples.begin(), series.samples.end(),
                                          [](const auto& sample) { return !std::isfinite(sample.second); });
            if (bad == series.samples.end()) {
                results.push_back(result_for(labels, Verdict::kPass, metric + " is finite"));
                continue;
            }
            results.push_back(result_for(
                labels, Verdict::kFail,
                metric + " is " + format_number(bad->second) + " in sample " + std::to_string(bad->first)));
            results.back().measured = bad->second;
        }
    }
    return results;
}

Results evaluate_rule(const MinSamplesCheck& rule, const Observations& seen) {
    Results results;
    for (const auto& [labels, series] : seen.rows_of(rule.metric)) {
        const auto count = static_cast<double>(series.samples.size());
        const bool enough = count >= rule.count;
        results.push_back(result_for(labels, enough ? Verdict::kPass : Verdict::kInconclusive,
                                     format_number(count) + " samples of " + rule.metric + ", at least " +
                                         std::to_string(rule.count) + " wanted"));
        results.back().measured = count;
        results.back().limit = rule.count;
    }
    return results.empty() ? no_samples(rule.metric) : results;
}

Results evaluate_rule(const TrendCheck& rule, const Observations& seen) {
    constexpr std::size_t kFewest = 3;  // one sample per third
    Results results;
    for (const auto& [labels, series] : seen.rows_of(rule.metric)) {
        const std::vector<double> values = series.values();
        if (values.size() < kFewest) {
            results.push_back(result_for(labels, Verdict::kInconclusive,
                                         "a trend of " + rule.metric + " needs 3 samples, there are " +
                                             std::to_string(values.size())));
            continue;
        }
        const std::size_t third = values.size() / 3;
        const double first = mean(std::span(values).first(third));
        const double last = mean(std::span(values).last(third));
        const bool good = rule.direction == Direction::kDecreasing ? last < first : last > first;
        results.push_back(result_for(labels, good ? Verdict::kPass : Verdict::kFail,
                                     "mean of " + rule.metric + " went from " + rounded_number(first) +
                                         " to " + rounded_number(last)));
        results.back().measured = last;
        results.back().limit = first;
        results.back().unit = series.unit;
    }
    return results.empty() ? no_samples(rule.metric) : results;
}

Results evaluate_rule(const FactCheck& rule, const Observations& seen) {
    Results results;
    for (const Fact& fact : seen.facts()) {
        if (fact.name != rule.fact) continue;
        const bool good = fact.value == rule.equals;
        results.push_back(result_for(
            fact.labels, good ? Verdict::kPass : Verdict::kFail,
            rule.fact + " is '" + fact.value + "'" + (good ? "" : ", expected '" + rule.equals + "'")));
    }
    if (results.empty()) results.push_back(result_for({}, Verdict::kError, "no fact " + rule.fact));
    return results;
}

// The leading dotted numbers: "2.6.0+cu124" -> 2, 6, 0. Empty when the text starts with no digit.
std::vector<unsigned long> version_of(std::string_view text) {
    std::vector<unsigned long> parts;
    while (true) {
        unsigned long part = 0;
        const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), part);
        if (failed != std::errc{}) return parts;
        parts.push_back(part);
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        if (!text.starts_with('.')) return parts;
        text.remove_prefix(1);
    }
}

Results evaluate_rule(const RequirementCheck& rule, const Observations& seen) {
    Results results;
    for (const Fact& fact : seen.facts()) {
        if (fact.name != rule.fact || fact.value.empty()) continue;
        std::vector<unsigned long> have = version_of(fact.value), want = version_of(rule.at_least);
        const std::size_t length = std::max(have.size(), want.size());  // 2.6 and 2.6.0 are the same version
        const bool comparable = rule.at_least.empty() || !have.empty();
        have.resize(length);
        want.resize(length);
        results.push_back(
            result_for(fact.labels, comparable && have >= want ? Verdict::kPass : Verdict::kFail,
                       rule.fact + " is '" + fact.value + "'" +
                           (rule.at_least.empty() ? "" : ", at least " + rule.at_least + " wanted")));
    }
    if (results.empty()) results.push_back(result_for({}, Verdict::kFail, "this host has no " + rule.fact));
    return results;
}

}  // namespace

std::string_view subject_of(const CheckRule& rule) {
    if (const auto* threshold = std::get_if<ThresholdCheck>(&rule)) return threshold->metric;
    if (const auto* identity = std::get_if<IdentityCheck>(&rule)) return identity->total;
    if (const auto* samples = std::get_if<MinSamplesCheck>(&rule)) return samples->metric;
    if (const auto* trend = std::get_if<TrendCheck>(&rule)) return trend->metric;
    return {};
}

std::vector<CheckResult> evaluate(const Check& check, const Observations& seen) {
    Results results = std::visit([&](const auto& rule) { return evaluate_rule(rule, seen); }, check.rule);
    for (CheckResult& result : results) {
        result.check = check.id;
        result.level = check.level;
        const Rows& rows = seen.rows_of(subject_of(check.rule));
        if (const auto row = rows.find(result.row); row != rows.end()) {
            result.samples = static_cast<int>(row->second.samples.size());
        }
    }
    return results;
}

}  // namespace nsa::language
