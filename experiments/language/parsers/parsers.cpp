#include "language/parsers/parsers.hpp"

#include "language/parsers/parts.hpp"

namespace nsa::language {

ParsedRecords parse_output(const OutputParser& parser, std::string_view text) {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    ParsedRecords parsed;
    switch (parser.kind) {
        case ParserKind::kCsv:
            parsed = parse_csv(parser, text);
            break;
        case ParserKind::kJunit:
            parsed = parse_junit(parser, text);
            break;
        case ParserKind::kJsonLines:
            parsed = parse_record_lines(text);
            break;
        case ParserKind::kRegex:
            parsed = parse_regex(parser, text);
            break;
    }
    if (parsed.records.empty() && parsed.errors.empty()) {
        parsed.errors.push_back(fail(ErrorCode::kCorrupt, "nothing was measured in it"));
    }
    for (Error& error : parsed.errors) {
        error.where = parser.source + (error.where.empty() ? "" : ", " + error.where);
    }
    return parsed;
}

}  // namespace nsa::language
