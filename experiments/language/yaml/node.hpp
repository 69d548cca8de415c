// The document as the reader sees it: our own small tree, made from yaml-cpp's events. Private to yaml/.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "language/yaml/reader.hpp"

namespace nsa::language::yaml {

struct Node {
    enum class Kind { kNull, kScalar, kList, kMap };
    Kind kind = Kind::kNull;
    int line = 1, column = 1;
    std::string text;         // kScalar: as written, without quotes
    bool plain = false;       // kScalar: without quotes, so `12` is a number and `true` a truth value
    std::vector<Node> items;  // kList
    std::vector<std::pair<Node, Node>> members;  // kMap; keys are scalars, no key twice
};

// yaml-cpp takes up to 70 ns per byte, and reads a line to its end before it knows what the line starts with;
// these caps keep every answer below 50 ms.
inline constexpr std::size_t kMostBytes = std::size_t{512} << 10;
inline constexpr std::size_t kLongestLine = 16384;
inline constexpr int kMostNodes = 10000;
inline constexpr int kDeepest = 32;

// Collects what is wrong, up to a cap: a hostile file gives no endless list.
class Diagnostics {
  public:
    void add(const Node& at, std::string text, std::string expected = {}, std::string suggestion = {});
    void add(int line, int column, std::string text, std::string expected = {}, std::string suggestion = {});
    bool empty() const { return found_.empty(); }
    std::size_t count() const { return found_.size(); }
    std::vector<Diagnostic> take_sorted();

  private:
    std::vector<Diagnostic> found_;
};

// The tree, complete only when nothing was added to `problems`. Never throws for any text.
Node load(std::string_view text, Diagnostics& problems);

// "nothing", "a list", "a mapping", "the text 'x'", "the number 12": for messages.
std::string found_text(const Node& node);

}  // namespace nsa::language::yaml
