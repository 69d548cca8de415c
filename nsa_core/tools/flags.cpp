#include "nsa_core/tools/flags.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <set>

namespace nsa::core::tools {
namespace {

std::string joined(std::span<const std::string> words, std::string_view between) {
    std::string text;
    for (const std::string& word : words) {
        if (!text.empty()) text += between;
        text += word;
    }
    return text;
}

template <typename Number>
std::optional<Number> read_number(std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<std::int64_t> read_integer(std::string_view text, std::int64_t low, std::int64_t high) {
    const auto value = read_number<std::int64_t>(text);
    return value && *value >= low && *value <= high ? value : std::nullopt;
}

std::string range_text(std::int64_t low, std::int64_t high) {
    return "from " + std::to_string(low) + " to " + std::to_string(high);
}

std::string shortest(double value) {
    char buffer[32];
    const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
    return {buffer, result.ptr};
}

// Levenshtein distance with the two-row table.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row.back();
}

// The names, and the one that was probably meant.
std::string wanted(std::span<const std::string> names, std::string_view given) {
    const auto near = nearest(given, names);
    return joined(names, ", ") + (near ? " (did you mean " + *near + "?)" : "");
}

}  // namespace

std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates) {
    // In three letters almost any word is a slip away from another: "gpu" would become "cpu".
    if (word.size() < 4) return std::nullopt;
    std::optional<std::string> best;
    // A third of the letters may be wrong: more is another word, not a slip.
    std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (const std::string& candidate : candidates) {
        const std::size_t distance = edit_distance(word, candidate);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

FlagTable& FlagTable::add(Flag flag) {
    flags_.push_back(std::move(flag));
    return *this;
}

FlagTable& FlagTable::integer(std::string name, std::int64_t& target, std::int64_t low, std::int64_t high,
                              std::string help) {
    auto assign = [&target, low, high](std::string_view text) -> std::optional<std::string> {
        const auto value = read_integer(text, low, high);
        if (!value) return "an integer " + range_text(low, high);
        target = *value;
        return std::nullopt;
    };
    return add({.name = std::move(name),
                .takes = "N",
                .help = std::move(help),
                .default_text = std::to_string(target),
                .assign = std::move(assign)});
}

FlagTable& FlagTable::integers(std::string name, std::vector<std::int64_t>& target, std::int64_t low,
                               std::int64_t high, std::string help) {
    auto assign = [&target, low, high](std::string_view text) -> std::optional<std::string> {
        std::vector<std::int64_t> values;
        while (true) {
            const std::size_t comma = text.find(',');
            const auto value = read_integer(text.substr(0, comma), low, high);
            if (!value) return "integers " + range_text(low, high) + ", separated by commas";
            values.push_back(*value);
            if (comma == std::string_view::npos) break;
            text.remove_prefix(comma + 1);
        }
        target = std::move(values);
        return std::nullopt;
    };
    std::vector<std::string> defaults;
    for (const std::int64_t value : target)
        defaults.push_back(std::to_string(value));
    return add({.name = std::move(name),
                .takes = "N,N,...",
                .help = std::move(help),
                .default_text = joined(defaults, ","),
                .assign = std::move(assign)});
}

FlagTable& FlagTable::positive(std::string name, double& target, std::string help) {
    auto assign = [&target](std::string_view text) -> std::optional<std::string> {
        const auto value = read_number<double>(text);
        if (!value || !std::isfinite(*value) || *value <= 0) return "a number greater than 0, like 1e-3";
        target = *value;
        return std::nullopt;
    };
    return add({.name = std::move(name),
                .takes = "X",
                .help = std::move(help),
                .default_text = shortest(target),
                .assign = std::move(assign)});
}

FlagTable& FlagTable::text(std::string name, std::string& target, std::string placeholder, std::string help) {
    auto assign = [&target, placeholder](std::string_view text) -> std::optional<std::string> {
        if (text.empty()) return placeholder + ", not an empty text";
        target = text;
        return std::nullopt;
    };
    return add({.name = std::move(name),
                .takes = placeholder,
                .help = std::move(help),
                .default_text = target,
                .assign = std::move(assign)});
}

FlagTable& FlagTable::note_given(std::set<std::string>& target) {
    given_ = &target;
    return *this;
}

FlagTable& FlagTable::add_choice(std::string name, std::vector<std::string> names, std::string default_name,
                                 std::function<void(std::size_t)> assign_index, std::string help) {
    std::string takes = joined(names, "|");
    auto assign = [names = std::move(names), assign_index = std::move(assign_index)](
                      std::string_view text) -> std::optional<std::string> {
        const auto found = std::find(names.begin(), names.end(), text);
        if (found == names.end()) return "one of " + wanted(names, text);
        assign_index(static_cast<std::size_t>(found - names.begin()));
        return std::nullopt;
    };
    return add({.name = std::move(name),
                .takes = std::move(takes),
                .help = std::move(help),
                .default_text = std::move(default_name),
                .assign = std::move(assign)});
}

FlagTable& FlagTable::add_choices(std::string name, std::vector<std::string> names, std::string default_text,
                                  std::function<void(const std::vector<std::size_t>&)> assign_indices,
                                  std::string help) {
    std::string takes = joined(names, ",");
    auto assign = [names = std::move(names), assign_indices = std::move(assign_indices)](
                      std::string_view text) -> std::optional<std::string> {
        std::vector<std::size_t> indices;
        while (true) {
            const std::size_t comma = text.find(',');
            const std::string_view word = text.substr(0, comma);
            const auto found = std::find(names.begin(), names.end(), word);
            if (found == names.end()) return "one or more, separated by commas, of " + wanted(names, word);
            indices.push_back(static_cast<std::size_t>(found - names.begin()));
            if (comma == std::string_view::npos) break;
            text.remove_prefix(comma + 1);
        }
        assign_indices(indices);
        return std::nullopt;
    };
    return add({.name = std::move(name),
                .takes = std::move(takes),
                .help = std::move(help),
                .default_text = std::move(default_text),
                .assign = std::move(assign)});
}

const FlagTable::Flag* FlagTable::find(std::string_view name) const {
    const auto found =
        std::find_if(flags_.begin(), flags_.end(), [&](const Flag& f) { return f.name == name; });
    return found == flags_.end() ? nullptr : &*found;
}

std::string FlagTable::unknown(std::string_view name) const {
    if (!name.starts_with("--")) {
        return "unexpected argument \"" + std::string{name} + "\": every option is --flag VALUE";
    }
    std::vector<std::string> names;
    for (const Flag& flag : flags_)
        names.push_back(flag.name);
    const auto near = nearest(name, names);
    return "unknown flag " + std::string{name} + (near ? " (did you mean " + *near + "?)" : "; see --help");
}

std::optional<std::string> FlagTable::parse(std::span<const std::string> args) {
    std::set<std::string_view> given;
    for (std::size_t i = 0; i < args.size(); ++i) {
        const std::string_view argument = args[i];
        const std::size_t equals = argument.find('=');
        const std::string_view name = argument.substr(0, equals);
        const Flag* flag = find(name);
        if (!flag) return unknown(name);
        if (!given.insert(name).second) return flag->name + " is given twice";
        if (given_) given_->insert(flag->name);

        std::string_view value;
        if (equals != std::string_view::npos) {
            value = argument.substr(equals + 1);
        } else if (i + 1 < args.size()) {
            value = args[++i];
        } else {
            return flag->name + " needs a value: " + flag->takes;
        }
        if (const auto expected = flag->assign(value)) {
            return flag->name + " expects " + *expected + ", got \"" + std::string{value} + "\"";
        }
    }
    return std::nullopt;
}

std::string FlagTable::help() const {
    constexpr std::size_t kHelpColumn = 30;
    std::string text;
    for (const Flag& flag : flags_) {
        std::string line = "  " + flag.name + " " + flag.takes;
        // Long lists of choices get a line of their own.
        line += line.size() + 2 > kHelpColumn ? "\n" + std::string(kHelpColumn, ' ')
                                              : std::string(kHelpColumn - line.size(), ' ');
        line += flag.help;
        if (!flag.default_text.empty()) line += " [" + flag.default_text + "]";
        text += line + "\n";
    }
    return text;
}

}  // namespace nsa::core::tools
