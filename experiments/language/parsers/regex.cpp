#include <re2/re2.h>

#include <algorithm>

#include "language/parsers/parsers.hpp"
#include "language/parsers/parts.hpp"
#include "language/text.hpp"

namespace nsa::language {

namespace {

// Linear time by construction; the memory cap bounds hostile patterns. Output need not be UTF-8.
re2::RE2::Options options() {
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(8 << 20);
    options.set_encoding(re2::RE2::Options::EncodingLatin1);
    options.set_posix_syntax(false);
    return options;
}

std::string fault_of(const re2::RE2& expression) {
    if (!expression.ok()) return "not a pattern that RE2 takes: " + expression.error();
    const int groups = expression.NumberOfCapturingGroups();
    if (groups != 1) {
        return "the pattern has " + std::to_string(groups) +
               " groups; expected exactly one, around the number";
    }
    return {};
}

}  // namespace

Result<void> check_pattern(std::string_view pattern) {
    const re2::RE2 expression(re2::StringPiece(pattern.data(), pattern.size()), options());
    if (const std::string fault = fault_of(expression); !fault.empty())
        return fail(ErrorCode::kInvalidSpec, fault);
    return {};
}

ParsedRecords parse_regex(const OutputParser& parser, std::string_view text) {
    RecordSink sink;
    const re2::RE2 expression("(?m:" + parser.pattern + ")", options());
    if (const std::string fault = fault_of(expression); !fault.empty()) {
        sink.error(fault);
        return sink.take();
    }
    const re2::StringPiece whole(text.data(), text.size());
    std::size_t position = 0, line = 1, counted = 0;
    re2::StringPiece groups[2];
    while (position <= text.size() &&
           expression.Match(whole, position, text.size(), re2::RE2::UNANCHORED, groups, 2)) {
        const auto start = static_cast<std::size_t>(groups[0].data() - text.data());
        line += static_cast<std::size_t>(std::count(text.begin() + static_cast<std::ptrdiff_t>(counted),
                                                    text.begin() + static_cast<std::ptrdiff_t>(start), '\n'));
        counted = start;
        position = start + std::max<std::size_t>(groups[0].size(), 1);
        if (groups[1].data() == nullptr) continue;  // an alternative without the group matched
        const NumberReading number = read_number(std::string_view(groups[1].data(), groups[1].size()));
        if (!number.value) {
            sink.error(line, number.fault);
        } else if (!sink.add(Measurement{parser.metric, *number.value, parser.unit, {}, 0})) {
            break;
        }
    }
    return sink.take();
}

}  // namespace nsa::language
