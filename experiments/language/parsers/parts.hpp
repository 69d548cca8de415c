// What the parsers share. Private to parsers/.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "language/record.hpp"
#include "language/spec.hpp"

namespace nsa::language {

ParsedRecords parse_csv(const OutputParser& parser, std::string_view text);
ParsedRecords parse_junit(const OutputParser& parser, std::string_view text);
ParsedRecords parse_regex(const OutputParser& parser, std::string_view text);

inline constexpr std::size_t kMostRecords = 100'000;
inline constexpr std::size_t kMostErrors = 100;

// Collects records up to the caps and counts samples per row.
class RecordSink {
  public:
    // False once the cap is reached: the parser stops.
    bool add(Measurement measurement);
    bool add(Record record);
    void error(std::size_t line, std::string text);
    void error(std::string text);
    ParsedRecords take();

  private:
    bool has_room();

    ParsedRecords parsed_;
    std::size_t errors_left_out_ = 0;
    bool full_ = false;
    std::map<std::string, std::map<Labels, int>> samples_;
};

// A finite decimal number and nothing else; the reason why not otherwise.
struct NumberReading {
    std::optional<double> value;
    std::string fault;
};
NumberReading read_number(std::string_view text);

}  // namespace nsa::language
