#include "language/parsers/parts.hpp"

#include <charconv>
#include <cmath>

#include "language/text.hpp"

namespace nsa::language {

bool RecordSink::has_room() {
    if (parsed_.records.size() < kMostRecords) return true;
    if (!full_) error("more than " + std::to_string(kMostRecords) + " records; the rest was not read");
    full_ = true;
    return false;
}

bool RecordSink::add(Measurement measurement) {
    if (!has_room()) return false;
    measurement.sample = samples_[measurement.metric][measurement.labels]++;
    parsed_.records.emplace_back(std::move(measurement));
    return true;
}

bool RecordSink::add(Record record) {
    if (!has_room()) return false;
    parsed_.records.push_back(std::move(record));
    return true;
}

void RecordSink::error(std::size_t line, std::string text) {
    if (parsed_.errors.size() < kMostErrors) {
        parsed_.errors.push_back(fail(ErrorCode::kCorrupt, std::move(text), "line " + std::to_string(line)));
    } else {
        ++errors_left_out_;
    }
}

void RecordSink::error(std::string text) {
    parsed_.errors.push_back(fail(ErrorCode::kCorrupt, std::move(text)));
}

ParsedRecords RecordSink::take() {
    if (errors_left_out_ > 0) error("and " + std::to_string(errors_left_out_) + " more errors");
    return std::move(parsed_);
}

NumberReading read_number(std::string_view text) {
    while (text.starts_with(' ') || text.starts_with('\t'))
        text.remove_prefix(1);
    while (text.ends_with(' ') || text.ends_with('\t'))
        text.remove_suffix(1);
    const std::string shown = "'" + printable(text, 40) + "'";
    if (text.empty()) return {std::nullopt, "the value is empty"};
    std::string_view digits = text;
    if (digits.starts_with('+')) digits.remove_prefix(1);
    double value = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (failed == std::errc::result_out_of_range) return {std::nullopt, shown + " does not fit a double"};
    if (failed != std::errc{} || end != digits.data() + digits.size()) {
        const bool comma = text.find(',') != std::string_view::npos;
        return {std::nullopt, shown + " is not a number" + (comma ? "; write the decimal point as '.'" : "")};
    }
    if (!std::isfinite(value)) return {std::nullopt, shown + " is not finite"};
    return {value, {}};
}

}  // namespace nsa::language
