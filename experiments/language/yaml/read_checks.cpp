#include <algorithm>
#include <charconv>

#include "language/event.hpp"
#include "language/parsers/parsers.hpp"
#include "language/text.hpp"
#include "language/yaml/read_parts.hpp"
#include "language/yaml/scalars.hpp"

namespace nsa::language::yaml {

namespace {

constexpr std::string_view kTextForm = "metric op value unit, like 'mae <= 2e-4' or 'max(step_ms) < 50 ms'";

std::string_view take_word(std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    return word;
}

bool is_metric_name(std::string_view name) {
    const auto is_letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    };
    return !name.empty() && name.size() <= 128 && is_letter(name.front()) &&
           std::all_of(name.begin(), name.end(), [&](char c) {
               return is_letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '/' || c == '-';
           });
}

bool read_metric(const Node& node, std::string_view name, std::string& out, Context& context) {
    if (node.kind == Node::Kind::kScalar && is_metric_name(node.text)) {
        out = node.text;
        return true;
    }
    context.problems.add(node, "'" + std::string(name) + "' is " + found_text(node),
                         "a metric's name: letters, digits and _ . / -");
    return false;
}

// "max(loss)" or "loss".
bool read_left_side(std::string_view word, const Node& node, ThresholdCheck& rule, Context& context) {
    if (const std::size_t open = word.find('('); open != std::string_view::npos && word.ends_with(')')) {
        Node aggregate = node;
        aggregate.kind = Node::Kind::kScalar;
        aggregate.text = std::string(word.substr(0, open));
        if (!read_word(aggregate, "aggregate", rule.aggregate, context)) return false;
        word = word.substr(open + 1, word.size() - open - 2);
    }
    if (!is_metric_name(word)) {
        context.problems.add(node, "the check names no metric: '" + printable(node.text) + "'",
                             std::string(kTextForm));
        return false;
    }
    rule.metric = word;
    return true;
}

std::optional<CheckRule> read_text_form(const Node& node, Context& context) {
    if (node.kind != Node::Kind::kScalar) {
        context.problems.add(node, "a check is " + found_text(node), std::string(kTextForm));
        return std::nullopt;
    }
    ThresholdCheck rule;
    std::string_view rest = node.text;
    const std::string_view left = take_word(rest), op = take_word(rest), value = take_word(rest),
                           unit = take_word(rest);
    if (!read_left_side(left, node, rule, context)) return std::nullopt;
    const std::optional<Op> known = value_named<Op>(op);
    if (!known) {
        context.problems.add(node, "the check has no comparison: '" + printable(node.text) + "'",
                             "one of < <= > >= == with spaces around");
        return std::nullopt;
    }
    const std::optional<double> number = number_in(value);
    if (!number || value.ends_with('%')) {
        context.problems.add(node, "the check compares with '" + printable(value) + "'",
                             "a decimal number, like 2e-4");
        return std::nullopt;
    }
    if (rest.find_first_not_of(' ') != std::string_view::npos) {
        context.problems.add(node, "the check goes on after its unit: '" + printable(node.text) + "'",
                             std::string(kTextForm));
        return std::nullopt;
    }
    rule.op = *known;
    rule.value = *number;
    rule.unit = unit;
    return rule;
}

std::optional<CheckRule> read_text_mapping(const Mapping& mapping, Context& context) {
    const Node* text = mapping.find("check");
    std::optional<CheckRule> rule = text == nullptr ? std::nullopt : read_text_form(*text, context);
    const Node* tolerance = mapping.find("tolerance");
    if (rule && tolerance != nullptr) {
        read_number(*tolerance, "tolerance", std::get<ThresholdCheck>(*rule).tolerance, context);
    }
    return rule;
}

std::optional<CheckRule> read_identity(const Mapping& mapping, Context& context) {
    IdentityCheck rule;
    bool good = true;
    if (const Node* total = mapping.find("identity"))
        good &= read_metric(*total, "identity", rule.total, context);
    if (const Node* parts = mapping.find("parts")) {
        expect_list(*parts, "parts", context, [&](const Node& part) {
            good &= read_metric(part, "parts", rule.parts.emplace_back(), context);
        });
        if (parts->kind == Node::Kind::kList && parts->items.empty()) {
            context.problems.add(*parts, "'parts' is an empty list", "at least one metric");
        }
    }
    if (const Node* tolerance = mapping.find("tolerance"))
        good &= read_number(*tolerance, "tolerance", rule.tolerance, context);
    return good ? std::optional<CheckRule>(rule) : std::nullopt;
}

std::optional<CheckRule> read_finite(const Mapping& mapping, Context& context) {
    FiniteCheck rule;
    const Node* metrics = mapping.find("finite");
    return metrics != nullptr && read_texts(*metrics, "finite", true, rule.metrics, context)
               ? std::optional<CheckRule>(rule)
               : std::nullopt;
}

std::optional<CheckRule> read_min_samples(const Mapping& mapping, Context& context) {
    MinSamplesCheck rule;
    bool good = true;
    if (const Node* count = mapping.find("min_samples"))
        good &= read_int(*count, "min_samples", 1, 1'000'000, rule.count, context);
    if (const Node* metric = mapping.find("metric"))
        good &= read_metric(*metric, "metric", rule.metric, context);
    return good ? std::optional<CheckRule>(rule) : std::nullopt;
}

std::optional<CheckRule> read_trend(const Mapping& mapping, Context& context) {
    TrendCheck rule;
    bool good = true;
    if (const Node* metric = mapping.find("trend"))
        good &= read_metric(*metric, "trend", rule.metric, context);
    if (const Node* direction = mapping.find("direction"))
        good &= read_word(*direction, "direction", rule.direction, context);
    return good ? std::optional<CheckRule>(rule) : std::nullopt;
}

std::optional<CheckRule> read_fact(const Mapping& mapping, Context& context) {
    std::string fact;
    const Node *name = mapping.find("fact"), *equals = mapping.find("equals"),
               *at_least = mapping.find("at_least"), *present = mapping.find("present");
    if (name == nullptr || !read_one_line(*name, "fact", fact, context)) return std::nullopt;
    if ((equals != nullptr) + (at_least != nullptr) + (present != nullptr) != 1) {
        context.problems.add(mapping.node(), "a check of fact '" + printable(fact) + "' needs one demand",
                             "one of equals, at_least, present: true");
        return std::nullopt;
    }
    if (equals != nullptr) {
        FactCheck rule{fact, ""};
        return read_one_line(*equals, "equals", rule.equals, context) ? std::optional<CheckRule>(rule)
                                                                      : std::nullopt;
    }
    RequirementCheck rule{fact, ""};
    const Node& demand = at_least != nullptr ? *at_least : *present;
    const bool good = at_least != nullptr ? is_dotted_version(demand.text) : demand.text == "true";
    if (!good) {
        context.problems.add(
            demand,
            std::string(at_least != nullptr ? "'at_least'" : "'present'") + " is " + found_text(demand),
            at_least != nullptr ? "a version like 2.6" : "true");
        return std::nullopt;
    }
    if (at_least != nullptr) rule.at_least = demand.text;
    return rule;
}

struct CheckForm {
    std::string_view key;
    std::span<const Key> keys;
    std::optional<CheckRule> (*read)(const Mapping&, Context&);
};

constexpr std::array kForms{
    CheckForm{"check", kTextCheckKeys, read_text_mapping},
    CheckForm{"identity", kIdentityKeys, read_identity},
    CheckForm{"finite", kFiniteKeys, read_finite},
    CheckForm{"min_samples", kMinSamplesKeys, read_min_samples},
    CheckForm{"trend", kTrendKeys, read_trend},
    CheckForm{"fact", kFactKeys, read_fact},
};

void read_check(const Node& node, std::vector<Check>& checks, Context& context) {
    Check check;
    check.source = context.source(node);
    std::optional<CheckRule> rule;
    if (node.kind != Node::Kind::kMap) {
        rule = read_text_form(node, context);
    } else {
        const auto has_key = [&](const CheckForm& form) {
            return std::any_of(node.members.begin(), node.members.end(),
                               [&](const auto& member) { return member.first.text == form.key; });
        };
        const auto form = std::find_if(kForms.begin(), kForms.end(), has_key);
        if (form == kForms.end()) {
            std::vector<std::string_view> words;
            for (const CheckForm& known : kForms)
                words.push_back(known.key);
            const Node& at = node.members.empty() ? node : node.members.front().first;
            context.problems.add(at, "a check without a rule", "one of the keys " + join(words),
                                 std::string(nearest_word(at.text, words)));
            return;
        }
        const Mapping mapping(node, "check '" + std::string(form->key) + "'", form->keys, context);
        rule = form->read(mapping, context);
        if (const Node* level = mapping.find("level")) read_word(*level, "level", check.level, context);
    }
    if (!rule) return;
    check.rule = std::move(*rule);
    check.id = describe(check.rule);
    checks.push_back(std::move(check));
}

void read_source(const Mapping& mapping, OutputParser& parser, Context& context) {
    const Node* from = mapping.find("from");
    if (from == nullptr) return;
    if (from->kind != Node::Kind::kScalar || !is_safe_relative_path(from->text)) {
        context.problems.add(*from, "'from' is " + found_text(*from),
                             "stdout, stderr, or the path of a file below the step's folder");
        return;
    }
    parser.source = from->text;
}

void read_csv(const Mapping& mapping, OutputParser& parser, Context& context) {
    if (const Node* columns = mapping.find("columns"))
        read_texts(*columns, "columns", true, parser.columns, context);
    if (const Node* labels = mapping.find("labels"))
        read_texts(*labels, "labels", true, parser.labels, context);
    const Node* units = mapping.find("units");
    if (units == nullptr) return;
    if (units->kind != Node::Kind::kMap) {
        context.problems.add(*units, "'units' is " + found_text(*units), "a mapping of column to unit");
        return;
    }
    for (const auto& [column, unit] : units->members) {
        if (std::find(parser.columns.begin(), parser.columns.end(), column.text) == parser.columns.end()) {
            context.problems.add(column, "'units' names no column: '" + printable(column.text) + "'",
                                 "one of " + join(parser.columns));
        }
        read_one_line(unit, "unit", parser.units[column.text], context);
    }
}

void read_regex(const Mapping& mapping, OutputParser& parser, Context& context) {
    if (const Node* metric = mapping.find("metric")) read_metric(*metric, "metric", parser.metric, context);
    if (const Node* unit = mapping.find("unit")) read_one_line(*unit, "unit", parser.unit, context);
    const Node* pattern = mapping.find("pattern");
    if (pattern == nullptr || !read_text(*pattern, "pattern", parser.pattern, context)) return;
    if (const Result<void> good = check_pattern(parser.pattern); !good) {
        context.problems.add(*pattern, "'pattern': " + good.error().text,
                             "an RE2 pattern like 'loss=([0-9.e+-]+)'");
    }
}

}  // namespace

std::vector<Check> read_checks(const Node& node, Context& context) {
    std::vector<Check> checks;
    expect_list(node, "checks", context, [&](const Node& item) { read_check(item, checks, context); });
    return checks;
}

std::vector<OutputParser> read_parsers(const Node& node, Context& context) {
    std::vector<OutputParser> parsers;
    expect_list(node, "metrics", context, [&](const Node& item) {
        OutputParser& parser = parsers.emplace_back();
        const auto parse = std::find_if(item.members.begin(), item.members.end(),
                                        [](const auto& member) { return member.first.text == "parse"; });
        if (parse == item.members.end()) {
            context.problems.add(item, "a parser without 'parse'",
                                 "{parse: csv|junit|jsonl|regex, from: stdout, ...}");
            return;
        }
        if (!read_word(parse->second, "parse", parser.kind, context)) return;
        const bool csv = parser.kind == ParserKind::kCsv, regex = parser.kind == ParserKind::kRegex;
        const std::span<const Key> keys = csv     ? std::span<const Key>(kCsvKeys)
                                          : regex ? std::span<const Key>(kRegexKeys)
                                                  : kPlainParserKeys;
        const Mapping mapping(item, "parser '" + std::string(name_of(parser.kind)) + "'", keys, context);
        read_source(mapping, parser, context);
        if (csv) read_csv(mapping, parser, context);
        if (regex) read_regex(mapping, parser, context);
    });
    return parsers;
}

}  // namespace nsa::language::yaml
