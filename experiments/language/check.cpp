#include "language/check.hpp"

#include <array>

#include "language/codec.hpp"
#include "language/text.hpp"

namespace nsa::language {

template <class Visitor, OneOf<ThresholdCheck> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("metric", self.metric);
    v.required("op", self.op);
    v.required("value", self.value);
    v.optional("unit", self.unit);
    v.optional("aggregate", self.aggregate, Aggregate::kMedian);
    v.optional("tolerance", self.tolerance);
}

template <class Visitor, OneOf<IdentityCheck> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("total", self.total);
    v.required("parts", self.parts);
    v.optional("tolerance", self.tolerance);
}

template <class Visitor, OneOf<FiniteCheck> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("metrics", self.metrics);
}

template <class Visitor, OneOf<MinSamplesCheck> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("metric", self.metric);
    v.required("count", self.count);
}

template <class Visitor, OneOf<TrendCheck> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("metric", self.metric);
    v.required("direction", self.direction);
}

template <class Visitor, OneOf<FactCheck> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("fact", self.fact);
    v.required("equals", self.equals);
}

template <class Visitor, OneOf<RequirementCheck> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("fact", self.fact);
    v.optional("at_least", self.at_least);
}

namespace {

// In the order of CheckRule.
constexpr std::array<std::string_view, std::variant_size_v<CheckRule>> kRuleNames{
    "threshold", "identity", "finite", "min_samples", "trend", "fact", "requirement"};

std::string percent(double tolerance) {
    return format_number(100 * tolerance) + "%";
}

std::string describe_rule(const ThresholdCheck& rule) {
    std::string text = rule.metric;
    if (rule.aggregate != Aggregate::kMedian) text = std::string(name_of(rule.aggregate)) + "(" + text + ")";
    text += " " + std::string(name_of(rule.op)) + " " + format_number(rule.value);
    if (!rule.unit.empty()) text += " " + rule.unit;
    if (rule.tolerance > 0) text += " (tolerance " + percent(rule.tolerance) + ")";
    return text;
}

std::string describe_rule(const IdentityCheck& rule) {
    std::string text = rule.total + " = " + join(rule.parts, " + ");
    return rule.tolerance > 0 ? text + " (tolerance " + percent(rule.tolerance) + ")" : text;
}

std::string describe_rule(const FiniteCheck& rule) {
    return "finite " + join(rule.metrics);
}

std::string describe_rule(const MinSamplesCheck& rule) {
    return "samples of " + rule.metric + " >= " + std::to_string(rule.count);
}

std::string describe_rule(const TrendCheck& rule) {
    return rule.metric + " is " + std::string(name_of(rule.direction));
}

std::string describe_rule(const FactCheck& rule) {
    return rule.fact + " is '" + rule.equals + "'";
}

std::string describe_rule(const RequirementCheck& rule) {
    return rule.at_least.empty() ? rule.fact + " is present" : rule.fact + " >= " + rule.at_least;
}

template <std::size_t Index = 0>
ReadStatus read_rule(std::string_view name, FieldReader& reader, CheckRule& out) {
    if constexpr (Index == kRuleNames.size()) {
        return ReadFailure{"rule", "unknown rule '" + std::string(name) + "'"};
    } else if (name == kRuleNames[Index]) {
        visit_fields(reader, out.emplace<Index>());
        return reader.take_failure();
    } else {
        return read_rule<Index + 1>(name, reader, out);
    }
}

}  // namespace

std::string describe(const CheckRule& rule) {
    return std::visit([](const auto& alternative) { return describe_rule(alternative); }, rule);
}

bool is_dotted_version(std::string_view text) {
    bool after_digit = false;
    for (char c : text) {
        const bool digit = c >= '0' && c <= '9';
        if (!digit && !(c == '.' && after_digit)) return false;
        after_digit = digit;
    }
    return after_digit;
}

json::value to_json(const Check& check) {
    FieldWriter writer;
    writer.required("id", check.id);
    writer.required("rule", std::string(kRuleNames[check.rule.index()]));
    std::visit([&](const auto& rule) { visit_fields(writer, rule); }, check.rule);
    writer.optional("level", check.level, Level::kGate);
    writer.optional("source", check.source);
    return writer.take();
}

Result<Check> check_from_json(const json::value& value) {
    if (!value.is_object()) return fail(ErrorCode::kCorrupt, "expected an object", "check");
    Check check;
    std::string rule;
    FieldReader reader(value.get_object());
    reader.required("id", check.id);
    reader.optional("level", check.level, Level::kGate);
    reader.optional("source", check.source);
    reader.required("rule", rule);
    ReadStatus status = reader.take_failure();
    if (!status) status = read_rule(rule, reader, check.rule);
    if (status) return fail(ErrorCode::kCorrupt, status->text, "check." + status->path);
    return check;
}

}  // namespace nsa::language
