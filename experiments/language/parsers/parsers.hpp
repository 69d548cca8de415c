// Output parsers: the text of a file that a step left behind, turned into records. The text is hostile: every
// parser is bounded in records, errors, depth and time (linear in the text).
#pragma once

#include <string_view>

#include "language/record.hpp"
#include "language/spec.hpp"

namespace nsa::language {

// Records in the order of the text; an error names its line. A text that gives no record at all is an error:
// no parser turns nothing into a pass.
//   csv    first line: column names. `columns` become metrics, `labels` the row they belong to.
//   junit  metrics tests_total, tests_passed, tests_failed, tests_errors, tests_skipped, counted from the
//   test
//          cases; facts failed_test. A file whose tests were all skipped gives a skip record.
//   jsonl  the lines of record.hpp.
//   regex  one group; each match is a sample.
ParsedRecords parse_output(const OutputParser& parser, std::string_view text);

// Whether an RE2 pattern compiles and has exactly one group.
Result<void> check_pattern(std::string_view pattern);

}  // namespace nsa::language
