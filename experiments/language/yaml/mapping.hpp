// Typed reading of mappings. Every fault becomes a diagnostic with its place and reading goes on, so that an
// author sees all faults at once. Private to yaml/.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "language/names.hpp"
#include "language/yaml/keys.hpp"
#include "language/yaml/node.hpp"

namespace nsa::language::yaml {

// "experiment.yaml" of the spec, for sources, and where faults go. References outlive the reading.
struct Context {
    std::string_view file;
    Diagnostics& problems;

    std::string source(const Node& node) const;
};

// A mapping whose keys are checked against its table when it is opened: unknown and missing keys are
// reported.
class Mapping {
  public:
    // `what` completes "in ...": "the experiment", "step 'x'". Not a mapping: reported, and every find is
    // null.
    // `later`: keys that are refused as not available yet.
    Mapping(const Node& node, std::string what, std::span<const Key> keys, Context& context,
            std::span<const LaterKey> later = {});

    const Node* find(std::string_view key) const;  // null when absent
    const Node& node() const { return node_; }

  private:
    const Node& node_;
};

// Each reads one value into `out` and returns whether it could; `out` is untouched otherwise. `name` is the
// value's name in messages.
bool read_text(const Node& node, std::string_view name, std::string& out, Context& context);
bool read_one_line(const Node& node, std::string_view name, std::string& out, Context& context);
bool read_bool(const Node& node, std::string_view name, bool& out, Context& context);
bool read_int(const Node& node, std::string_view name, int lowest, int highest, int& out, Context& context);
bool read_number(const Node& node, std::string_view name, double& out, Context& context);
bool read_duration(const Node& node, std::string_view name, bool may_be_off, Duration& out, Context& context);
// A list of texts; one text alone stands for a list of one when `may_be_single`.
bool read_texts(const Node& node, std::string_view name, bool may_be_single, std::vector<std::string>& out,
                Context& context);
// Lower-case word: [a-z][a-z0-9_-]{0,63}.
bool read_id(const Node& node, std::string_view name, std::string& out, Context& context);

void expect_list(const Node& node, std::string_view name, Context& context,
                 const std::function<void(const Node&)>& read_item);

void report_unknown_word(const Node& node, std::string_view name, std::span<const std::string_view> words,
                         Context& context);

// One word of an enum.
template <class Enum>
bool read_word(const Node& node, std::string_view name, Enum& out, Context& context) {
    if (node.kind == Node::Kind::kScalar) {
        if (const std::optional<Enum> value = value_named<Enum>(node.text)) {
            out = *value;
            return true;
        }
    }
    std::array<std::string_view, kEnumNames<Enum>.size()> words;
    for (std::size_t i = 0; i < words.size(); ++i)
        words[i] = kEnumNames<Enum>[i].name;
    report_unknown_word(node, name, words, context);
    return false;
}

}  // namespace nsa::language::yaml
