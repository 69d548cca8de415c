#include "language/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>

namespace nsa::language {

std::string format_number(double value) {
    if (std::isnan(value)) return "nan";
    std::array<char, 40> buffer{};
    const auto end =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::general);
    return {buffer.data(), end.ptr};
}

std::string rounded_number(double value) {
    if (std::isnan(value)) return "nan";
    constexpr int kDigits = 4;
    std::array<char, 40> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                   std::chars_format::general, kDigits);
    return {buffer.data(), end.ptr};
}

namespace {

template <class Words>
std::string join_words(const Words& words, std::string_view separator) {
    std::string joined;
    for (const auto& word : words) {
        if (!joined.empty()) joined += separator;
        joined += word;
    }
    return joined;
}

// Insertions, deletions, replacements and swaps of neighbours ("setps" is one slip away from "steps").
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> two_back(b.size() + 1), back(b.size() + 1), row(b.size() + 1);
    std::iota(row.begin(), row.end(), 0U);
    for (std::size_t i = 1; i <= a.size(); ++i) {
        two_back.swap(back);
        back.swap(row);
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            row[j] = std::min({back[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1), back[j] + 1, row[j - 1] + 1});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = std::min(row[j], two_back[j - 2] + 1);
            }
        }
    }
    return row.back();
}

}  // namespace

std::string join(std::span<const std::string_view> words, std::string_view separator) {
    return join_words(words, separator);
}
std::string join(std::span<const std::string> words, std::string_view separator) {
    return join_words(words, separator);
}

std::string format_labels(const std::map<std::string, std::string>& labels) {
    std::string text;
    for (const auto& [key, value] : labels)
        text += (text.empty() ? "" : ", ") + key + "=" + value;
    return text;
}

std::string_view nearest_word(std::string_view word, std::span<const std::string_view> candidates) {
    constexpr std::size_t kLongest = 64;  // a longer word is no slip, and the distance is quadratic
    if (word.size() > kLongest) return {};
    std::string_view best;
    std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (std::string_view candidate : candidates) {
        const std::size_t distance = edit_distance(word, candidate);
        if (distance < best_distance) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

std::string printable(std::string_view text, std::size_t longest) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string shown;
    for (char c : text.substr(0, longest)) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\n') {
            shown += "\\n";
        } else if (c == '\t') {
            shown += "\\t";
        } else if (byte < 0x20 || byte == 0x7f) {
            shown += {'\\', 'x', kDigits[byte >> 4U], kDigits[byte & 15U]};
        } else {
            shown += c;
        }
    }
    if (text.size() > longest) {
        // Never end inside a UTF-8 sequence: drop continuation bytes and the byte that started them.
        while (!shown.empty() && (static_cast<unsigned char>(shown.back()) & 0xC0U) == 0x80U)
            shown.pop_back();
        if (!shown.empty() && static_cast<unsigned char>(shown.back()) >= 0xC0U) shown.pop_back();
        shown += "...";
    }
    return shown;
}

}  // namespace nsa::language
