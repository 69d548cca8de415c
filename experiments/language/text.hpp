// Small text tools for messages and ids.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nsa::language {

// Shortest text that reads back as the same number: "0.0002", "512", "nan".
std::string format_number(double value);

// For sentences: four significant digits, "0.7937".
std::string rounded_number(double value);

// "a, b, c"
std::string join(std::span<const std::string_view> words, std::string_view separator = ", ");
std::string join(std::span<const std::string> words, std::string_view separator = ", ");

// "S=512, branch=sliding"; empty for no labels.
std::string format_labels(const std::map<std::string, std::string>& labels);

// The candidate nearest to `word` by edit distance when it is near enough to be a slip of the hand, else "".
std::string_view nearest_word(std::string_view word, std::span<const std::string_view> candidates);

// The text with control characters made visible ("\n") and cut at `longest` bytes: for hostile text in
// messages.
std::string printable(std::string_view text, std::size_t longest = 80);

}  // namespace nsa::language
