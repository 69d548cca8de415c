// Markdown from untrusted text: whatever a worker, a spec or a host says is shown and never obeyed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nsa::reports {

// Valid UTF-8 without control characters, direction overrides and line breaks, cut at `longest` bytes.
std::string clean(std::string_view text, std::size_t longest = 600);

// `clean`, with everything that Markdown or HTML would act on escaped. For running text and table cells.
std::string escape(std::string_view text);

// For text and attributes of HTML and SVG; takes no care of control characters.
std::string escape_html(std::string_view text);

// An inline code span that no backtick in the text can leave. Not for table cells with a '|'.
std::string code_span(std::string_view text);

// A fenced block; the fence is longer than any in the text. Line breaks stay, other control characters go.
std::string code_block(std::string_view text, std::string_view language);

// A link to a file below the report's folder.
std::string link(std::string_view text, std::string_view relative_path);

// An image below the report's folder; `alt` says what is to be seen.
std::string image(std::string_view alt, std::string_view relative_path);

// A Markdown table. Cells are Markdown already. Numeric columns are set to the right.
class Table {
  public:
    struct Column {
        std::string title;
        bool numeric = false;
    };
    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
    void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
    bool empty() const { return rows_.empty(); }
    std::string text() const;  // with an empty line after it

  private:
    std::vector<Column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

// Four significant digits: "6.03e-05", "0.7664", "512", "nan". The exact value is in the JSON report.
std::string number(double value);
std::string percent(double part);                              // 0.123 -> "12.3%"
std::string bytes(std::uint64_t size);                         // "12.3 KiB"
std::string seconds(double duration);                          // "1.25 s", "3 min 04 s"
std::string utc(std::int64_t ms);                              // "2026-11-23 14:05:06 UTC"; "-" for 0
std::string plural(std::size_t count, std::string_view noun);  // "1 case", "3 cases"
std::string money(double amount);                              // "12.50"; below 0.1: "0.0172"

// The part of a subject that can stand in a file name: letters, digits, space and ()+,-._; never empty.
std::string file_subject(std::string_view subject);

}  // namespace nsa::reports
