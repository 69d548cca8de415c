// Command-line flags of nsa-core: one table per subcommand, from which both the parser and --help come.
//
// Why not CLI11, as in nsactl: nsa-core also builds on GPU hosts from a source bundle that has the standard
// library and LibTorch and nothing else, so its flags must not need a package.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nsa::core::tools {

// A set of flags bound to the variables of one options struct. The variables hold the defaults when a flag is
// added and must outlive the table.
class FlagTable {
  public:
    FlagTable& integer(std::string name, std::int64_t& target, std::int64_t low, std::int64_t high,
                       std::string help);
    FlagTable& integers(std::string name, std::vector<std::int64_t>& target, std::int64_t low,
                        std::int64_t high, std::string help);
    // A number greater than zero.
    FlagTable& positive(std::string name, double& target, std::string help);
    FlagTable& text(std::string name, std::string& target, std::string placeholder, std::string help);
    // `choices` must contain the current value of `target`.
    template <typename Value>
    FlagTable& choice(std::string name, Value& target,
                      const std::vector<std::pair<std::string, Value>>& choices, std::string help);

    // One or more of the choices, separated by commas.
    template <typename Value>
    FlagTable& choices(std::string name, std::vector<Value>& target,
                       const std::vector<std::pair<std::string, Value>>& choices, std::string help);

    // `target` will hold the names of the flags that were given: where a default and the same value said
    // aloud are not the same.
    FlagTable& note_given(std::set<std::string>& target);

    // Assigns every flag of `args` ("--flag value" or "--flag=value"). The error says which flag, what it was
    // given and what would be right; nothing else must be read from the targets after an error.
    [[nodiscard]] std::optional<std::string> parse(std::span<const std::string> args);

    // One line per flag: name, what it takes, what it means, the default.
    [[nodiscard]] std::string help() const;

  private:
    // Empty when the text was understood and assigned, else what the flag expects.
    using Assign = std::function<std::optional<std::string>(std::string_view)>;
    struct Flag {
        std::string name;
        std::string takes;
        std::string help;
        std::string default_text;
        Assign assign;
    };

    FlagTable& add(Flag flag);
    FlagTable& add_choice(std::string name, std::vector<std::string> names, std::string default_name,
                          std::function<void(std::size_t)> assign_index, std::string help);
    FlagTable& add_choices(std::string name, std::vector<std::string> names, std::string default_text,
                           std::function<void(const std::vector<std::size_t>&)> assign_indices,
                           std::string help);
    [[nodiscard]] const Flag* find(std::string_view name) const;
    [[nodiscard]] std::string unknown(std::string_view name) const;

    std::vector<Flag> flags_;
    std::set<std::string>* given_ = nullptr;  // not owned
};

// The candidate nearest to `word` by edit distance, when it is near enough to be a slip of the hand.
[[nodiscard]] std::optional<std::string> nearest(std::string_view word,
                                                 std::span<const std::string> candidates);

template <typename Value>
FlagTable& FlagTable::choice(std::string name, Value& target,
                             const std::vector<std::pair<std::string, Value>>& choices, std::string help) {
    std::vector<std::string> names;
    std::vector<Value> values;
    std::string default_name;
    for (const auto& [text, value] : choices) {
        names.push_back(text);
        values.push_back(value);
        if (value == target) default_name = text;
    }
    auto assign = [&target, values = std::move(values)](std::size_t index) { target = values[index]; };
    return add_choice(std::move(name), std::move(names), std::move(default_name), std::move(assign),
                      std::move(help));
}

template <typename Value>
FlagTable& FlagTable::choices(std::string name, std::vector<Value>& target,
                              const std::vector<std::pair<std::string, Value>>& choices, std::string help) {
    std::vector<std::string> names;
    std::vector<Value> values;
    std::string default_text;
    for (const auto& [text, value] : choices) {
        names.push_back(text);
        values.push_back(value);
        for (const Value& given : target) {
            if (given == value) default_text += (default_text.empty() ? "" : ",") + text;
        }
    }
    auto assign = [&target, values = std::move(values)](const std::vector<std::size_t>& indices) {
        target.clear();
        for (const std::size_t index : indices)
            target.push_back(values[index]);
    };
    return add_choices(std::move(name), std::move(names), std::move(default_text), std::move(assign),
                       std::move(help));
}

}  // namespace nsa::core::tools
