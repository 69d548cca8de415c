#include "language/params.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "language/text.hpp"

namespace nsa::language {

std::string to_string(const Scalar& scalar) {
    if (const bool* flag = std::get_if<bool>(&scalar)) return *flag ? "true" : "false";
    if (const std::int64_t* number = std::get_if<std::int64_t>(&scalar)) return std::to_string(*number);
    if (const double* number = std::get_if<double>(&scalar)) return format_number(*number);
    return std::get<std::string>(scalar);
}

std::string to_string(const ParamValue& value) {
    if (const Scalar* scalar = std::get_if<Scalar>(&value)) return to_string(*scalar);
    std::string text;
    for (const Scalar& item : std::get<std::vector<Scalar>>(value))
        text += (text.empty() ? "" : ",") + to_string(item);
    return text;
}

namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    while (true) {
        const std::size_t end = text.find(separator);
        parts.push_back(text.substr(0, end));
        if (end == std::string_view::npos) return parts;
        text.remove_prefix(end + 1);
    }
}

// A leading zero is refused: elsewhere it means octal.
template <class Number>
std::optional<Number> number_in(std::string_view text) {
    if (text.size() > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9') return std::nullopt;
    Number number{};
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

std::optional<std::int64_t> whole_number(const ParamSchema& schema, const Scalar& scalar) {
    std::optional<std::int64_t> number;
    if (const auto* value = std::get_if<std::int64_t>(&scalar)) number = *value;
    if (const auto* text = std::get_if<std::string>(&scalar)) number = number_in<std::int64_t>(*text);
    return number && *number >= schema.least && *number <= schema.most ? number : std::nullopt;
}

std::optional<double> positive_number(const Scalar& scalar) {
    std::optional<double> number;
    if (const auto* value = std::get_if<double>(&scalar)) number = *value;
    if (const auto* value = std::get_if<std::int64_t>(&scalar)) number = static_cast<double>(*value);
    if (const auto* text = std::get_if<std::string>(&scalar)) number = number_in<double>(*text);
    return number && std::isfinite(*number) && *number > 0 ? number : std::nullopt;
}

ParamReading refused(std::string_view wanted, const ParamValue& given) {
    return {{}, "expected " + std::string(wanted) + ", found '" + printable(to_string(given)) + "'", {}};
}

// "from 1 to 1024", "of 1 or more".
std::string bounds_of(const ParamSchema& schema) {
    const std::string least = std::to_string(schema.least);
    if (schema.most == ParamSchema{}.most) return "of " + least + " or more";
    return "from " + least + " to " + std::to_string(schema.most);
}

ParamReading read_text(const ParamSchema& schema, const Scalar& given) {
    const std::string text = to_string(given);
    const bool has_control = std::any_of(
        text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
    if (text.empty() || has_control) return refused("a text without control characters", given);
    if (!schema.one_of.empty()) {
        const std::vector<std::string_view> words = split(schema.one_of, '|');
        if (std::find(words.begin(), words.end(), text) == words.end()) {
            ParamReading reading = refused("one of " + join(words), given);
            reading.suggestion = nearest_word(text, words);
            return reading;
        }
    }
    return {Scalar(text), {}, {}};
}

// A list, or a text of its items separated by commas.
std::vector<Scalar> items_of(const ParamValue& given) {
    if (const auto* list = std::get_if<std::vector<Scalar>>(&given)) return *list;
    std::vector<Scalar> items;
    const std::string text = to_string(given);  // split() only looks at it
    for (std::string_view part : split(text, ','))
        items.emplace_back(std::string(part));
    return items;
}

ParamReading read_word_list(const ParamSchema& schema, const ParamValue& given) {
    std::vector<Scalar> words;
    for (const Scalar& item : items_of(given)) {
        ParamReading word = read_text(schema, item);
        if (!word.fault.empty()) return word;
        Scalar read = std::get<Scalar>(word.value);
        if (std::find(words.begin(), words.end(), read) != words.end()) {
            return refused("every word once", given);
        }
        words.push_back(std::move(read));
    }
    if (words.empty()) return refused("a list with a word in it", given);
    return {words, {}, {}};
}

ParamReading read_int_list(const ParamSchema& schema, const ParamValue& given) {
    std::vector<Scalar> items = items_of(given);
    const auto fault = [&] {
        return refused(
            "a list of whole numbers " + bounds_of(schema) + ", like [" + std::string(schema.fallback) + "]",
            given);
    };
    for (Scalar& item : items) {
        const std::optional<std::int64_t> number = whole_number(schema, item);
        if (!number) return fault();
        item = *number;
    }
    if (items.empty()) return fault();
    if (std::set<Scalar>(items.begin(), items.end()).size() < items.size())
        return refused("every number once", given);
    return {items, {}, {}};
}

}  // namespace

ParamReading read_param(const ParamSchema& schema, const ParamValue& given) {
    if (schema.type == ParamType::kIntList) return read_int_list(schema, given);
    if (schema.type == ParamType::kWordList) return read_word_list(schema, given);
    const Scalar* scalar = std::get_if<Scalar>(&given);
    if (scalar == nullptr) return refused("one value, not a list", given);
    switch (schema.type) {
        case ParamType::kBool: {
            const std::string text = to_string(*scalar);
            if (text != "true" && text != "false") return refused("true or false", given);
            return {Scalar(text == "true"), {}, {}};
        }
        case ParamType::kInt: {
            const std::optional<std::int64_t> number = whole_number(schema, *scalar);
            if (!number) return refused("a whole number " + bounds_of(schema), given);
            return {Scalar(*number), {}, {}};
        }
        case ParamType::kNumber: {
            const std::optional<double> number = positive_number(*scalar);
            if (!number) return refused("a number above 0", given);
            return {Scalar(*number), {}, {}};
        }
        case ParamType::kText:
        case ParamType::kIntList:
        case ParamType::kWordList:
            break;
    }
    return read_text(schema, *scalar);
}

const ParamSchema* find_param(std::span<const ParamSchema> schema, std::string_view name) {
    const auto found =
        std::find_if(schema.begin(), schema.end(), [&](const auto& param) { return param.name == name; });
    return found == schema.end() ? nullptr : &*found;
}

std::vector<std::string_view> param_names(std::span<const ParamSchema> schema) {
    std::vector<std::string_view> names;
    for (const ParamSchema& param : schema)
        names.push_back(param.name);
    return names;
}

Result<Params> complete_params(std::span<const ParamSchema> schema, const Params& given) {
    for (const auto& [name, value] : given) {
        if (find_param(schema, name) != nullptr) continue;
        const std::vector<std::string_view> names = param_names(schema);
        const std::string_view near = nearest_word(name, names);
        return fail(ErrorCode::kInvalidSpec,
                    "unknown param '" + printable(name) + "'; expected one of " + join(names) +
                        (near.empty() ? "" : "; did you mean '" + std::string(near) + "'?"));
    }
    Params complete;
    for (const ParamSchema& param : schema) {
        const auto found = given.find(std::string(param.name));
        if (found == given.end() && param.required) {
            return fail(ErrorCode::kInvalidSpec,
                        "param '" + std::string(param.name) + "' is missing: " + std::string(param.help));
        }
        if (found == given.end() && param.fallback.empty()) continue;
        const ParamValue value =
            found != given.end() ? found->second : ParamValue(Scalar(std::string(param.fallback)));
        ParamReading reading = read_param(param, value);
        if (!reading.fault.empty()) {
            return fail(
                ErrorCode::kInvalidSpec,
                "param '" + std::string(param.name) + "': " + reading.fault +
                    (reading.suggestion.empty() ? "" : "; did you mean '" + reading.suggestion + "'?"));
        }
        complete.emplace(param.name, std::move(reading.value));
    }
    return complete;
}

const std::string& text_param(const Params& params, const std::string& name) {
    return std::get<std::string>(std::get<Scalar>(params.at(name)));
}

std::int64_t int_param(const Params& params, const std::string& name) {
    return std::get<std::int64_t>(std::get<Scalar>(params.at(name)));
}

}  // namespace nsa::language
