#include "cli/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "language/shell_word.hpp"
#include "language/utf8.hpp"

namespace nsa::cli {

std::string human_duration(std::int64_t ms) {
    ms = std::max<std::int64_t>(ms, 0);
    constexpr std::int64_t kMinute = 60, kHour = 3600, kDay = 86'400;
    if (ms < 100) return fmt::format("{}ms", ms);
    if (ms < 59'950) return fmt::format("{:.1f}s", static_cast<double>(ms) / 1000);
    const std::int64_t seconds = (ms + 500) / 1000;
    if (seconds < kHour) return fmt::format("{}m {:02}s", seconds / kMinute, seconds % kMinute);
    if (seconds < kDay) return fmt::format("{}h {:02}m", seconds / kHour, seconds % kHour / kMinute);
    return fmt::format("{}d {:02}h", seconds / kDay, seconds % kDay / kHour);
}

std::string human_size(std::uint64_t bytes) {
    constexpr std::array kUnits{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) return fmt::format("{} B", bytes);
    auto amount = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    for (; amount >= 1023.95 && unit + 1 < kUnits.size(); ++unit)
        amount /= 1024;
    return fmt::format("{:.1f} {}", amount, kUnits[unit]);
}

std::string human_age(std::int64_t then_ms, std::int64_t now_ms) {
    if (then_ms == 0) return "";
    const std::int64_t seconds = (now_ms - then_ms) / 1000;
    if (seconds < 1) return "now";
    if (seconds < 60) return fmt::format("{}s ago", seconds);
    if (seconds < 3600) return fmt::format("{}m ago", seconds / 60);
    if (seconds < 86'400) return fmt::format("{}h ago", seconds / 3600);
    return fmt::format("{}d ago", seconds / 86'400);
}

std::optional<std::int64_t> parse_duration_ms(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    constexpr std::int64_t kMost = 366LL * 86'400'000;
    constexpr std::array<std::pair<std::string_view, std::int64_t>, 5> kUnits{
        {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
    for (const auto& [name, ms] : kUnits)
        if (problem == std::errc{} && unit == name && number >= 0 && number <= kMost / ms) return number * ms;
    return std::nullopt;
}

std::string harmless(std::string_view text, bool keep_lines) {
    std::string out;
    while (!text.empty()) {
        const language::CodePoint point = language::decode_front(text);
        const std::string_view character = text.substr(0, std::max<std::size_t>(point.length, 1));
        text.remove_prefix(character.size());
        const bool is_layout = character == "\n" || character == "\t";
        if (point.length == 0) {
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(character[0]));
        } else if (is_layout) {
            out += keep_lines ? character : " ";
        } else if (language::is_unsafe_to_show(point.value)) {
            const auto code = static_cast<std::uint32_t>(point.value);
            out += code < 0x100 ? fmt::format("\\x{:02x}", code) : fmt::format("\\u{:04x}", code);
        } else {
            out += character;
        }
    }
    return out;
}

std::size_t columns_of(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string fit(std::string_view text, std::size_t columns) {
    if (columns_of(text) <= columns) return std::string(text);
    std::string out;
    for (std::size_t taken = 0; taken + 1 < columns; ++taken) {
        const std::size_t length = std::max<std::size_t>(language::decode_front(text).length, 1);
        out += text.substr(0, length);
        text.remove_prefix(length);
    }
    return out + "…";
}

std::string shell_quoted(std::string_view argument) {
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
    if (std::none_of(argument.begin(), argument.end(), is_control)) return language::shell_word(argument);
    std::string out = "$'";  // bash's form with escapes
    for (const char c : argument) {
        if (c == '\'' || c == '\\') {
            out += std::string("\\") + c;
        } else if (c == '\n') {
            out += "\\n";
        } else {
            out +=
                is_control(c) ? fmt::format("\\x{:02x}", static_cast<unsigned char>(c)) : std::string(1, c);
        }
    }
    return out + "'";
}

std::string Paint::operator()(std::string_view text, Colour colour) const {
    if (!on_ || colour == Colour::kNone || text.empty()) return std::string(text);
    const auto code = [colour] {
        switch (colour) {
            case Colour::kGreen:
                return "32";
            case Colour::kRed:
                return "31";
            case Colour::kYellow:
                return "33";
            case Colour::kCyan:
                return "36";
            case Colour::kDim:
                return "2";
            case Colour::kBold:
                return "1";
            case Colour::kNone:
                break;
        }
        return "0";
    };
    return fmt::format("\x1b[{}m{}\x1b[0m", code(), text);
}

Table::Table(std::vector<std::string> headings) {
    std::vector<Cell> cells;
    for (std::string& heading : headings) {
        right_.push_back(heading.starts_with('>'));
        if (right_.back()) heading.erase(0, 1);
        cells.emplace_back(std::move(heading), Colour::kBold);
    }
    rows_.push_back(std::move(cells));
}

void Table::add(std::vector<Cell> row) {
    row.resize(right_.size(), Cell(""));
    rows_.push_back(std::move(row));
}

std::string Table::render(Paint paint) const {
    std::vector<std::size_t> widths(right_.size());
    for (const auto& row : rows_)
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], columns_of(row[i].text));
    std::string out;
    for (const auto& row : rows_) {
        std::string line;
        std::size_t owed = 0;  // blanks that are written only when text follows
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::size_t space = widths[i] - columns_of(row[i].text);
            if (right_[i]) owed += space;
            if (!row[i].text.empty()) {
                line += std::string(owed, ' ') + paint(row[i].text, row[i].colour);
                owed = 0;
            }
            owed += 2 + (right_[i] ? 0 : space);
        }
        out += line + "\n";
    }
    return out;
}

}  // namespace nsa::cli
