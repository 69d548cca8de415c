// The JSON Schema of the language, made from the tables that the reader uses.
#include <boost/json.hpp>

#include "language/kind.hpp"
#include "language/yaml/keys.hpp"
#include "language/yaml/reader.hpp"

namespace nsa::language {

namespace {

namespace json = boost::json;

json::object closed_object(std::span<const yaml::Key> keys) {
    json::object properties;
    json::array required;
    for (const yaml::Key& key : keys) {
        json::object schema = json::parse(key.schema).as_object();
        schema["description"] = key.help;
        properties[key.name] = std::move(schema);
        if (key.required) required.emplace_back(key.name);
    }
    json::object object{{"type", "object"}, {"additionalProperties", false}};
    object["properties"] = std::move(properties);
    if (!required.empty()) object["required"] = std::move(required);
    return object;
}

json::object any_of(std::initializer_list<std::span<const yaml::Key>> forms) {
    json::array options;
    for (std::span<const yaml::Key> keys : forms)
        options.push_back(closed_object(keys));
    return {{"anyOf", std::move(options)}};
}

json::object whole_number(const ParamSchema& param) {
    json::object value{{"type", "integer"}, {"minimum", param.least}};
    if (param.most != ParamSchema{}.most) value["maximum"] = param.most;
    return value;
}

// A value, or a text with a placeholder.
json::object param_schema(const ParamSchema& param) {
    json::object value;
    if (!param.one_of.empty()) {
        json::array words;
        std::string_view rest = param.one_of;
        while (!rest.empty()) {
            const std::size_t end = rest.find('|');
            words.emplace_back(rest.substr(0, end));
            rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
        }
        value["enum"] = std::move(words);
        if (param.type == ParamType::kWordList) {
            value = {{"type", "array"}, {"items", json::object(value)}, {"uniqueItems", true}};
        }
    } else if (param.type == ParamType::kIntList) {
        value = {{"type", "array"}, {"items", whole_number(param)}, {"minItems", 1}, {"uniqueItems", true}};
    } else if (param.type == ParamType::kBool) {
        value["type"] = "boolean";
    } else if (param.type == ParamType::kInt) {
        value = whole_number(param);
    } else if (param.type == ParamType::kNumber) {
        value = {{"type", "number"}, {"exclusiveMinimum", 0}};
    } else {
        value["$ref"] = "#/$defs/scalar";
    }
    json::object schema{{"description", param.help}};
    if (!param.fallback.empty()) schema["default"] = param.fallback;
    schema["anyOf"] = json::array{std::move(value), json::object{{"$ref", "#/$defs/placeholder"}}};
    return schema;
}

// "when the kind is parity, the params are those".
json::object rule_of_kind(const StepKind& kind) {
    json::object properties;
    json::array required;
    for (const ParamSchema& param : kind.params()) {
        properties[param.name] = param_schema(param);
        if (param.required) required.emplace_back(param.name);
    }
    json::object params{{"type", "object"}, {"additionalProperties", false}};
    params["properties"] = std::move(properties);
    params["required"] = required;
    json::object then{{"properties", {{"params", std::move(params)}}}};
    json::array needed;
    if (!required.empty()) needed.emplace_back("params");
    if (kind.name() == "command") needed.emplace_back("run");
    then["required"] = std::move(needed);
    return {{"if", {{"properties", {{"kind", {{"const", kind.name()}}}}}, {"required", {"kind"}}}},
            {"then", std::move(then)}};
}

json::object step_schema() {
    json::object step = closed_object(yaml::kStepKeys);
    json::array names, rules;
    for (const StepKind* kind : step_kinds()) {
        names.emplace_back(kind->name());
        rules.push_back(rule_of_kind(*kind));
    }
    json::object& kind = step["properties"].as_object()["kind"].as_object();
    kind.erase("type");
    kind["enum"] = std::move(names);
    step["allOf"] = std::move(rules);
    step["anyOf"] = json::array{{{"required", {"kind"}}}, {{"required", {"run"}}}};
    return step;
}

void print(const json::value& value, int depth, std::string& out);

template <class Container, class PrintItem>
void print_items(const Container& items, char open, char close, int depth, std::string& out,
                 PrintItem print_item) {
    out += open;
    bool first = true;
    for (const auto& item : items) {
        out += first ? "\n" : ",\n";
        first = false;
        out.append(static_cast<std::size_t>(2 * depth + 2), ' ');
        print_item(item);
    }
    if (!first) {
        out += '\n';
        out.append(static_cast<std::size_t>(2 * depth), ' ');
    }
    out += close;
}

void print(const json::value& value, int depth, std::string& out) {
    if (value.is_object()) {
        print_items(value.get_object(), '{', '}', depth, out, [&](const json::key_value_pair& member) {
            out += json::serialize(json::value(member.key())) + ": ";
            print(member.value(), depth + 1, out);
        });
    } else if (value.is_array()) {
        print_items(value.get_array(), '[', ']', depth, out,
                    [&](const json::value& item) { print(item, depth + 1, out); });
    } else {
        out += json::serialize(value);
    }
}

}  // namespace

std::string json_schema() {
    json::object defs;
    defs["scalar"] = {{"type", {"string", "number", "boolean"}}};
    defs["placeholder"] = {{"type", "string"}, {"pattern", R"(\$\{\{ *matrix\.[A-Za-z0-9_]+ *\}\})"}};
    defs["code"] = closed_object(yaml::kCodeKeys);
    defs["target"] = closed_object(yaml::kTargetKeys);
    defs["timeouts"] = closed_object(yaml::kTimeoutKeys);
    defs["retry"] = closed_object(yaml::kRetryKeys);
    defs["repeat"] = closed_object(yaml::kRepeatKeys);
    defs["budget"] = closed_object(yaml::kBudgetKeys);
    defs["report"] = closed_object(yaml::kReportKeys);
    defs["xfail"] = closed_object(yaml::kXfailKeys);
    defs["check"] = any_of({yaml::kTextCheckKeys, yaml::kIdentityKeys, yaml::kFiniteKeys,
                            yaml::kMinSamplesKeys, yaml::kTrendKeys, yaml::kFactKeys});
    defs["check"].as_object()["anyOf"].as_array().push_back(
        {{"type", "string"}, {"description", "metric op value unit: mae <= 2e-4, max(step_ms) < 50 ms"}});
    defs["parser"] = any_of({yaml::kCsvKeys, yaml::kPlainParserKeys, yaml::kRegexKeys});
    defs["step"] = step_schema();
    json::object schema{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                        {"title", "nsa experiment"}};
    for (const auto& member : closed_object(yaml::kSpecKeys))
        schema[member.key()] = member.value();
    schema["$defs"] = std::move(defs);
    std::string text;
    print(schema, 0, text);
    return text + "\n";
}

}  // namespace nsa::language
