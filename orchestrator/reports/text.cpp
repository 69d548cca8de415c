#include "reports/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "language/utc_time.hpp"
#include "language/utf8.hpp"

namespace nsa::reports {

namespace {

std::string without_controls(std::string_view text, bool keep_lines) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const language::CodePoint point = language::decode_front(text);
        const std::string_view piece = text.substr(0, std::max<std::size_t>(point.length, 1));
        text.remove_prefix(piece.size());
        if (point.length == 0) {
            out += "\xEF\xBF\xBD";
        } else if (point.value == '\n' && keep_lines) {
            out += '\n';
        } else if (point.value == '\n' || point.value == '\t') {
            out += ' ';
        } else if (!language::is_unsafe_to_show(point.value)) {
            out += piece;
        }
    }
    return out;
}

std::size_t longest_run(std::string_view text, char wanted) {
    std::size_t longest = 0, run = 0;
    for (char c : text) {
        run = c == wanted ? run + 1 : 0;
        longest = std::max(longest, run);
    }
    return longest;
}

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::string two_digits(std::int64_t value) {
    return (value < 10 ? "0" : "") + std::to_string(value);
}

}  // namespace

std::string clean(std::string_view text, std::size_t longest) {
    std::string out = without_controls(text, false);
    if (out.size() <= longest) return out;
    std::size_t cut = longest;
    while (cut > 0 && (static_cast<unsigned char>(out[cut]) & 0xC0) == 0x80)
        --cut;
    return out.substr(0, cut) + "\xE2\x80\xA6";  // ellipsis
}

std::string escape(std::string_view text) {
    const std::string plain = clean(text, 2000);
    std::string out;
    out.reserve(plain.size() + 16);
    for (std::size_t i = 0; i < plain.size(); ++i) {
        const char c = plain[i];
        const char before = i == 0 ? ' ' : plain[i - 1], after = i + 1 == plain.size() ? ' ' : plain[i + 1];
        bool special = false;
        switch (c) {
            case '\\':
            case '`':
            case '*':
            case '[':
            case ']':
            case '|':
            case '&':
            case '~':
            case '!':
            case '$':
                special = true;
                break;
            case '_':  // within a word it is a letter
                special = !is_word(before) || !is_word(after);
                break;
            case '<':  // before a space or '=' it opens no tag
                special = after != ' ' && after != '=';
                break;
            case '#':
            case '>':
                special = i == 0;
                break;
            case '+':
            case '-':
            case '=':  // a list item, a rule or an underline; "--flag" is none of them
                special = i == 0 && (after == ' ' || plain.find_first_not_of("-=+ ") == std::string::npos);
                break;
            case '.':
            case ')':  // "1." would begin a list
                special = i > 0 && after == ' ' && plain.find_first_not_of("0123456789") == i;
                break;
            default:
                break;
        }
        if (special) out += '\\';
        out += c;
    }
    return out;
}

std::string escape_html(std::string_view text) {
    std::string out;
    for (char c : text) {
        switch (c) {
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '&':
                out += "&amp;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

std::string code_span(std::string_view text) {
    const std::string plain = clean(text);
    if (plain.empty()) return {};
    const std::string fence(longest_run(plain, '`') + 1, '`');
    const bool pad = plain.front() == '`' || plain.back() == '`';
    return fence + (pad ? " " : "") + plain + (pad ? " " : "") + fence;
}

std::string code_block(std::string_view text, std::string_view language) {
    std::string plain = without_controls(text, true);
    while (!plain.empty() && plain.back() == '\n')
        plain.pop_back();
    const std::string fence(std::max<std::size_t>(3, longest_run(plain, '`') + 1), '`');
    return fence + std::string(language) + "\n" + plain + "\n" + fence + "\n\n";
}

std::string link(std::string_view text, std::string_view relative_path) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    std::string target;
    for (char c : relative_path) {
        if (is_word(c) || std::string_view("-._/").find(c) != std::string_view::npos) {
            target += c;
        } else {
            target += '%';
            target += kHex[static_cast<unsigned char>(c) >> 4];
            target += kHex[static_cast<unsigned char>(c) & 15];
        }
    }
    return "[" + escape(text) + "](" + target + ")";
}

std::string image(std::string_view alt, std::string_view relative_path) {
    return "!" + link(alt, relative_path);
}

std::string Table::text() const {
    std::string out = "|", rule = "|";
    for (const Column& column : columns_) {
        out += " " + column.title + " |";
        rule += column.numeric ? " ---: |" : " --- |";
    }
    out += "\n" + rule + "\n";
    for (const std::vector<std::string>& row : rows_) {
        out += "|";
        for (const std::string& cell : row)
            out += " " + cell + " |";
        out += "\n";
    }
    return out + "\n";
}

std::string number(double value) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
    const bool whole = value == std::floor(value) && std::abs(value) < 1e15;
    std::array<char, 64> buffer{};
    const auto end = whole ? std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                           std::chars_format::fixed, 0)
                           : std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                           std::chars_format::general, 4);
    return {buffer.data(), end.ptr};
}

std::string percent(double part) {
    std::array<char, 64> buffer{};
    const auto end =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), part * 100, std::chars_format::fixed, 1);
    return std::string(buffer.data(), end.ptr) + "%";
}

std::string bytes(std::uint64_t size) {
    constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
    auto value = static_cast<double>(size);
    std::size_t unit = 0;
    while (value >= 1024 && unit + 1 < kUnits.size()) {
        value /= 1024;
        ++unit;
    }
    return number(value) + " " + kUnits[unit];
}

std::string seconds(double duration) {
    if (duration < 60) return number(duration) + " s";
    const auto whole = static_cast<std::int64_t>(duration + 0.5);
    const std::string tail = two_digits(whole % 60) + " s";
    if (whole < 3600) return std::to_string(whole / 60) + " min " + tail;
    return std::to_string(whole / 3600) + " h " + two_digits(whole / 60 % 60) + " min " + tail;
}

std::string utc(std::int64_t ms) {
    return ms == 0 ? "-" : language::utc_time(ms);
}

std::string plural(std::size_t count, std::string_view noun) {
    return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

std::string money(double amount) {
    if (!(amount >= 0.1) || amount >= 1e15) return number(amount);
    std::array<char, 64> buffer{};
    const auto end =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), amount, std::chars_format::fixed, 2);
    return {buffer.data(), end.ptr};
}

std::string file_subject(std::string_view subject) {
    constexpr std::size_t kLongest = 80;
    std::string out;
    for (char c : subject) {
        const bool keep = is_word(c) || std::string_view("()+,-._").find(c) != std::string_view::npos;
        if (keep) {
            out += c;
        } else if (!out.empty() && out.back() != ' ') {
            out += ' ';
        }
    }
    out.resize(std::min(out.size(), kLongest));
    while (!out.empty() && (out.back() == ' ' || out.back() == '.'))
        out.pop_back();
    const std::size_t first = out.find_first_not_of(". -");
    return first == std::string::npos ? "Experiment" : out.substr(first);
}

}  // namespace nsa::reports
