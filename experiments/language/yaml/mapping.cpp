#include "language/yaml/mapping.hpp"

#include <algorithm>
#include <charconv>

#include "language/text.hpp"
#include "language/yaml/scalars.hpp"

namespace nsa::language::yaml {

void Diagnostics::add(const Node& at, std::string text, std::string expected, std::string suggestion) {
    add(at.line, at.column, std::move(text), std::move(expected), std::move(suggestion));
}

void Diagnostics::add(int line, int column, std::string text, std::string expected, std::string suggestion) {
    constexpr std::size_t kMost = 100;
    if (found_.size() < kMost) {
        found_.push_back({line, column, std::move(text), std::move(expected), std::move(suggestion)});
    }
}

std::vector<Diagnostic> Diagnostics::take_sorted() {
    std::stable_sort(found_.begin(), found_.end(), [](const Diagnostic& a, const Diagnostic& b) {
        return std::pair(a.line, a.column) < std::pair(b.line, b.column);
    });
    return std::move(found_);
}

std::string found_text(const Node& node) {
    switch (node.kind) {
        case Node::Kind::kNull:
            return "nothing";
        case Node::Kind::kList:
            return "a list";
        case Node::Kind::kMap:
            return "a mapping";
        case Node::Kind::kScalar:
            break;
    }
    return "'" + printable(node.text) + "'";
}

std::string Context::source(const Node& node) const {
    return std::string(file) + ":" + std::to_string(node.line) + ":" + std::to_string(node.column);
}

Mapping::Mapping(const Node& node, std::string what, std::span<const Key> keys, Context& context,
                 std::span<const LaterKey> later)
    : node_(node) {
    std::vector<std::string_view> names;
    for (const Key& key : keys)
        names.push_back(key.name);
    if (node.kind != Node::Kind::kMap) {
        context.problems.add(node, what + " is " + found_text(node), "a mapping with " + join(names));
        return;
    }
    for (const auto& [key, value] : node.members) {
        if (std::find(names.begin(), names.end(), key.text) != names.end()) continue;
        const auto planned = std::find_if(later.begin(), later.end(),
                                          [&](const LaterKey& one) { return one.name == key.text; });
        if (planned != later.end()) {
            context.problems.add(key, "'" + key.text + "' in " + what + " is not available yet",
                                 std::string(planned->instead));
            continue;
        }
        context.problems.add(key, "unknown key '" + printable(key.text) + "' in " + what,
                             "one of " + join(names), std::string(nearest_word(key.text, names)));
    }
    for (const Key& key : keys) {
        if (key.required && find(key.name) == nullptr) {
            context.problems.add(node, "'" + std::string(key.name) + "' is missing in " + what,
                                 std::string(key.help));
        }
    }
}

const Node* Mapping::find(std::string_view key) const {
    for (const auto& [name, value] : node_.members) {
        if (name.text == key) return &value;
    }
    return nullptr;
}

namespace {

bool refuse(const Node& node, std::string_view name, std::string expected, Context& context) {
    context.problems.add(node, "'" + std::string(name) + "' is " + found_text(node), std::move(expected));
    return false;
}

}  // namespace

bool read_text(const Node& node, std::string_view name, std::string& out, Context& context) {
    if (node.kind != Node::Kind::kScalar || node.text.empty()) return refuse(node, name, "a text", context);
    out = node.text;
    return true;
}

bool read_one_line(const Node& node, std::string_view name, std::string& out, Context& context) {
    constexpr std::size_t kLongest = 200;
    const bool has_control = std::any_of(node.text.begin(), node.text.end(),
                                         [](char c) { return static_cast<unsigned char>(c) < 0x20; });
    if (node.kind != Node::Kind::kScalar || node.text.empty() || has_control || node.text.size() > kLongest) {
        return refuse(node, name, "one line of text, at most " + std::to_string(kLongest) + " bytes",
                      context);
    }
    out = node.text;
    return true;
}

bool read_bool(const Node& node, std::string_view name, bool& out, Context& context) {
    const Scalar scalar = node.kind == Node::Kind::kScalar ? typed(node) : Scalar(std::string());
    const bool* truth = std::get_if<bool>(&scalar);
    if (truth == nullptr) return refuse(node, name, "true or false", context);
    out = *truth;
    return true;
}

bool read_int(const Node& node, std::string_view name, int lowest, int highest, int& out, Context& context) {
    const auto wanted = "a whole number from " + std::to_string(lowest) + " to " + std::to_string(highest);
    if (node.kind != Node::Kind::kScalar) return refuse(node, name, wanted, context);
    const Scalar scalar = typed(node);
    const std::int64_t* number = std::get_if<std::int64_t>(&scalar);
    if (number == nullptr || *number < lowest || *number > highest)
        return refuse(node, name, wanted, context);
    out = static_cast<int>(*number);
    return true;
}

bool read_number(const Node& node, std::string_view name, double& out, Context& context) {
    const std::optional<double> number =
        node.kind == Node::Kind::kScalar ? number_in(node.text) : std::nullopt;
    if (!number || *number < 0) return refuse(node, name, "a number of 0 or more, like 0.05 or 5%", context);
    out = *number;
    return true;
}

bool read_duration(const Node& node, std::string_view name, bool may_be_off, Duration& out,
                   Context& context) {
    const bool off = may_be_off && node.kind == Node::Kind::kScalar && node.text == "off";
    const std::optional<Duration> duration =
        node.kind == Node::Kind::kScalar ? duration_in(node.text) : std::nullopt;
    if (!off && (!duration || duration->count() == 0)) {
        return refuse(
            node, name,
            may_be_off ? "a duration like 90s, 15m or 4h, or off" : "a duration like 90s, 15m or 4h",
            context);
    }
    out = off ? Duration::zero() : *duration;
    return true;
}

void expect_list(const Node& node, std::string_view name, Context& context,
                 const std::function<void(const Node&)>& read_item) {
    if (node.kind != Node::Kind::kList) {
        refuse(node, name, "a list", context);
        return;
    }
    for (const Node& item : node.items)
        read_item(item);
}

bool read_texts(const Node& node, std::string_view name, bool may_be_single, std::vector<std::string>& out,
                Context& context) {
    if (may_be_single && node.kind == Node::Kind::kScalar)
        return read_text(node, name, out.emplace_back(), context);
    if (node.kind != Node::Kind::kList || node.items.empty())
        return refuse(node, name, "a list of texts", context);
    bool good = true;
    for (const Node& item : node.items)
        good &= read_text(item, name, out.emplace_back(), context);
    return good;
}

bool read_id(const Node& node, std::string_view name, std::string& out, Context& context) {
    const std::string& text = node.text;
    constexpr std::size_t kLongest = 64;
    const auto is_lower = [](char c) { return c >= 'a' && c <= 'z'; };
    const bool good = node.kind == Node::Kind::kScalar && !text.empty() && text.size() <= kLongest &&
                      is_lower(text.front()) && std::all_of(text.begin(), text.end(), [&](char c) {
                          return is_lower(c) || (c >= '0' && c <= '9') || c == '_' || c == '-';
                      });
    if (!good)
        return refuse(node, name, "lower-case letters, digits, '_' and '-', a letter first, at most 64",
                      context);
    out = text;
    return true;
}

void report_unknown_word(const Node& node, std::string_view name, std::span<const std::string_view> words,
                         Context& context) {
    const std::string_view near =
        node.kind == Node::Kind::kScalar ? nearest_word(node.text, words) : std::string_view();
    context.problems.add(node, "'" + std::string(name) + "' is " + found_text(node), "one of " + join(words),
                         std::string(near));
}

}  // namespace nsa::language::yaml
