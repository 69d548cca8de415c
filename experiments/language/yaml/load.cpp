// The only file that includes yaml-cpp. It listens to parse events and refuses what the language has no use
// for (aliases, anchors, tags, merge keys, second documents) before anything could be expanded.
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "language/text.hpp"
#include "language/utf8.hpp"
#include "language/yaml/node.hpp"

namespace nsa::language::yaml {

namespace {

// Ends a parse whose cap is reached; the reason is in the diagnostics.
struct Stop {};

// Column in code points, as editors count; yaml-cpp counts bytes.
class Places {
  public:
    explicit Places(std::string_view text) : text_(text) {
        starts_.push_back(0);
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] == '\n') starts_.push_back(i + 1);
        }
    }
    std::pair<int, int> of(const YAML::Mark& mark) const {
        if (mark.line < 0) return {1, 1};
        const auto line = std::min(static_cast<std::size_t>(mark.line), starts_.size() - 1);
        return {static_cast<int>(line) + 1,
                column(starts_[line], static_cast<std::size_t>(std::max(mark.column, 0)))};
    }
    std::pair<int, int> of(std::size_t byte) const {
        const auto after = std::upper_bound(starts_.begin(), starts_.end(), byte);
        const std::size_t start = *(after - 1);
        return {static_cast<int>(after - starts_.begin()), column(start, byte - start)};
    }
    char at(const YAML::Mark& mark) const {
        if (mark.line < 0 || static_cast<std::size_t>(mark.line) >= starts_.size()) return '\0';
        const std::size_t byte =
            starts_[static_cast<std::size_t>(mark.line)] + static_cast<std::size_t>(mark.column);
        return byte < text_.size() ? text_[byte] : '\0';
    }

  private:
    int column(std::size_t start, std::size_t bytes) const {
        const std::string_view before = text_.substr(start, bytes);
        return 1 + static_cast<int>(std::count_if(before.begin(), before.end(), [](char c) {
                   return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
               }));
    }
    std::string_view text_;
    std::vector<std::size_t> starts_;
};

class TreeBuilder final : public YAML::EventHandler {
  public:
    TreeBuilder(const Places& places, Diagnostics& problems) : places_(places), problems_(problems) {}

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        add(node(mark, Node::Kind::kNull, "", anchor));
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
        Node alias = node(mark, Node::Kind::kNull, "", 0);
        problems_.add(alias, "an alias is not part of the language", "the value itself, or a matrix");
        add(std::move(alias));
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        Node scalar = node(mark, Node::Kind::kScalar, tag, anchor);
        scalar.text = value;
        scalar.plain = tag == "?" || tag.empty();
        add(std::move(scalar));
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        open(node(mark, Node::Kind::kList, tag, anchor));
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        open(node(mark, Node::Kind::kMap, tag, anchor));
    }
    void OnMapEnd() override { close(); }

    Node take_root() { return std::move(root_); }

  private:
    struct Level {
        Node node;
        std::set<std::string> keys;
        Node key;
        bool has_key = false, keep = true;
    };

    Node node(const YAML::Mark& mark, Node::Kind kind, const std::string& tag, YAML::anchor_t anchor) {
        Node made;
        made.kind = kind;
        std::tie(made.line, made.column) = places_.of(mark);
        if (++count_ > kMostNodes) {
            problems_.add(made, "the document has more than " + std::to_string(kMostNodes) + " values",
                          "a smaller experiment");
            throw Stop{};
        }
        if (anchor != 0)
            problems_.add(made, "an anchor is not part of the language", "the value without '&'");
        const bool written_tag = places_.at(mark) == '!' || (!tag.empty() && tag != "?" && tag != "!");
        if (written_tag) problems_.add(made, "a tag is not part of the language", "the value without '!'");
        return made;
    }

    void open(Node opened) {
        if (levels_.size() >= static_cast<std::size_t>(kDeepest)) {
            problems_.add(opened, "values nest deeper than " + std::to_string(kDeepest),
                          "a flatter document");
            throw Stop{};
        }
        levels_.push_back({std::move(opened), {}, {}, false, true});
    }

    void close() {
        Node closed = std::move(levels_.back().node);
        levels_.pop_back();
        add(std::move(closed));
    }

    void add(Node value) {
        if (levels_.empty()) {
            root_ = std::move(value);
            return;
        }
        Level& level = levels_.back();
        if (level.node.kind == Node::Kind::kList) {
            level.node.items.push_back(std::move(value));
        } else if (!level.has_key) {
            take_key(level, std::move(value));
        } else {
            if (value.kind == Node::Kind::kNull) {  // yaml-cpp places it at whatever comes next
                value.line = level.key.line;
                value.column = level.key.column;
            }
            if (level.keep) level.node.members.emplace_back(std::move(level.key), std::move(value));
            level.has_key = false;
        }
    }

    void take_key(Level& level, Node key) {
        level.has_key = true;
        level.keep = key.kind == Node::Kind::kScalar;
        if (!level.keep) {
            problems_.add(key, "a key is " + found_text(key), "a name");
        } else if (key.text == "<<" && key.plain) {
            level.keep = false;
            problems_.add(key, "a merge key is not part of the language", "the keys themselves");
        } else if (!level.keys.insert(key.text).second) {
            level.keep = false;
            problems_.add(key, "the key '" + printable(key.text) + "' is there twice", "each key once");
        }
        level.key = std::move(key);
    }

    const Places& places_;
    Diagnostics& problems_;
    std::vector<Level> levels_;
    Node root_;
    int count_ = 0;
};

bool is_text(std::string_view text, const Places& places, Diagnostics& problems) {
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t length = decode_front(text.substr(i)).length;
        const auto byte = static_cast<unsigned char>(text[i]);
        const bool control = (byte < 0x20 && byte != '\n' && byte != '\r' && byte != '\t') || byte == 0x7f;
        if (length == 0 || control) {
            const auto [line, column] = places.of(i);
            problems.add(line, column,
                         length == 0 ? "these bytes are not UTF-8"
                                     : "the control character " + printable(text.substr(i, 1)),
                         "UTF-8 text");
            return false;
        }
        i += length;
    }
    return true;
}

// yaml-cpp reads a line, or a flow value in brackets, to its end before it knows what it starts with: what
// would make that expensive is refused by plain counting.
bool is_costly(std::string_view text, const Places& places, Diagnostics& problems) {
    for (std::size_t start = 0; start < text.size();) {
        const std::size_t end = std::min(text.find('\n', start), text.size());
        if (end - start > kLongestLine) {
            const auto [line, column] = places.of(start);
            problems.add(line, column, "the line has " + std::to_string(end - start) + " bytes",
                         "lines of at most " + std::to_string(kLongestLine));
            return true;
        }
        start = end + 1;
    }
    constexpr std::ptrdiff_t kMostMarks = 2 * kMostNodes;
    const auto marks =
        std::count_if(text.begin(), text.end(), [](char c) { return c == ',' || c == '[' || c == '{'; });
    if (marks > kMostMarks) {
        problems.add(1, 1, "the document has " + std::to_string(marks) + " commas and brackets",
                     "at most " + std::to_string(kMostMarks));
    }
    return marks > kMostMarks;
}

}  // namespace

Node load(std::string_view text, Diagnostics& problems) {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    if (text.size() > kMostBytes) {
        problems.add(1, 1, "the document has " + std::to_string(text.size()) + " bytes",
                     "at most " + std::to_string(kMostBytes));
        return {};
    }
    const Places places(text);
    if (!is_text(text, places, problems) || is_costly(text, places, problems)) return {};
    TreeBuilder builder(places, problems);
    try {
        std::istringstream stream{std::string(text)};
        YAML::Parser parser(stream);
        if (!parser.HandleNextDocument(builder)) {
            problems.add(1, 1, "the document is empty", "an experiment");
            return {};
        }
        Node root = builder.take_root();
        TreeBuilder second(places, problems);
        if (parser.HandleNextDocument(second)) {
            problems.add(second.take_root(), "a second document", "one experiment in one file");
        }
        return root;
    } catch (const Stop&) {
        return {};
    } catch (const YAML::Exception& error) {
        const auto [line, column] = places.of(error.mark);
        problems.add(line, column, "not YAML: " + printable(error.msg), "");
        return {};
    }
}

}  // namespace nsa::language::yaml
