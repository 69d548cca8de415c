#include "language/yaml/scalars.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace nsa::language::yaml {

namespace {

bool all_digits(std::string_view text) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

template <class Number>
std::optional<Number> whole_text(std::string_view text) {
    Number number{};
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

// digits [. digits] [e [sign] digits], with no leading zero: everything that reads the same everywhere.
bool is_decimal(std::string_view text) {
    if (text.starts_with('-')) text.remove_prefix(1);
    const std::size_t whole = std::min(text.find_first_not_of("0123456789"), text.size());
    if (whole == 0 || (whole > 1 && text.front() == '0')) return false;
    text.remove_prefix(whole);
    if (text.starts_with('.')) {
        text.remove_prefix(1);
        const std::size_t fraction = std::min(text.find_first_not_of("0123456789"), text.size());
        if (fraction == 0) return false;
        text.remove_prefix(fraction);
    }
    if (text.starts_with('e') || text.starts_with('E')) {
        text.remove_prefix(1);
        if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
        return all_digits(text);
    }
    return text.empty();
}

}  // namespace

Scalar typed(const Node& scalar) {
    const std::string& text = scalar.text;
    if (!scalar.plain || !is_decimal(text)) {
        if (scalar.plain && (text == "true" || text == "false")) return text == "true";
        return text;
    }
    if (const auto integer = whole_text<std::int64_t>(text)) return *integer;
    if (const auto number = whole_text<double>(text)) return *number;
    return text;  // 1e400: no double
}

std::optional<Duration> duration_in(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, std::int64_t>, 5> kUnits{
        {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
    constexpr std::int64_t kLongest = 366LL * 86'400'000;
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto count = whole_text<std::int64_t>(text.substr(0, digits));
    const auto unit = std::find_if(kUnits.begin(), kUnits.end(),
                                   [&](const auto& u) { return u.first == text.substr(digits); });
    if (!count || unit == kUnits.end() || *count > kLongest / unit->second) return std::nullopt;
    return Duration{*count * unit->second};
}

bool is_date(std::string_view text) {
    if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
    if (!all_digits(text.substr(0, 4)) || !all_digits(text.substr(5, 2)) || !all_digits(text.substr(8, 2)))
        return false;
    const auto year = whole_text<int>(text.substr(0, 4)), month = whole_text<int>(text.substr(5, 2)),
               day = whole_text<int>(text.substr(8, 2));
    return std::chrono::year_month_day{std::chrono::year{*year},
                                       std::chrono::month{static_cast<unsigned>(*month)},
                                       std::chrono::day{static_cast<unsigned>(*day)}}
        .ok();
}

std::optional<double> number_in(std::string_view text) {
    const bool percent = text.ends_with('%');
    if (percent) text.remove_suffix(1);
    if (!is_decimal(text)) return std::nullopt;
    const auto number = whole_text<double>(text);
    if (!number || !std::isfinite(*number)) return std::nullopt;
    return percent ? *number / 100 : *number;
}

}  // namespace nsa::language::yaml
