// Text for people: durations, sizes, ages, colours, tables. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nsa::cli {

std::string human_duration(std::int64_t ms);  // "40ms", "0.4s", "12.3s", "2m 05s", "1h 03m", "2d 04h"
std::string human_size(std::uint64_t bytes);  // "512 B", "1.4 KiB"
std::string human_age(std::int64_t then_ms, std::int64_t now_ms);  // "5m ago", "now", "" for never (0)

// "90s", "15m", "4h", "500ms", "2d"; nothing for anything else.
std::optional<std::int64_t> parse_duration_ms(std::string_view text);

// A terminal must not obey what a remote host wrote: what is unsafe to show (language/utf8.hpp) and bytes
// that are not UTF-8 become visible. `keep_lines` lets newlines and tabs through.
std::string harmless(std::string_view text, bool keep_lines = false);

// Columns that the text takes, counting a character as one.
std::size_t columns_of(std::string_view text);
// The text in at most `columns`, its end replaced by "…" when it is longer.
std::string fit(std::string_view text, std::size_t columns);
// One argument on one line as bash would need it; for commands that are shown to be repeated.
std::string shell_quoted(std::string_view argument);

enum class Colour { kNone, kGreen, kRed, kYellow, kCyan, kDim, kBold };

// Wraps text in colour when colours are on.
class Paint {
  public:
    explicit Paint(bool on) : on_(on) {}
    std::string operator()(std::string_view text, Colour colour) const;

  private:
    bool on_;
};

struct Cell {
    Cell(std::string of, Colour in = Colour::kNone) : text(std::move(of)), colour(in) {}
    Cell(const char* of) : text(of) {}
    std::string text;
    Colour colour = Colour::kNone;
};

// Columns as wide as their widest cell, two blanks apart, no blanks at the end of a line.
class Table {
  public:
    // A heading that starts with '>' has its column aligned to the right.
    explicit Table(std::vector<std::string> headings);
    void add(std::vector<Cell> row);  // as many cells as headings
    std::string render(Paint paint) const;

  private:
    std::vector<bool> right_;
    std::vector<std::vector<Cell>> rows_;  // the first: headings
};

}  // namespace nsa::cli
