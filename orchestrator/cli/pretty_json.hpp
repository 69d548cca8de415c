// JSON laid out for people: two blanks per level, short lists of plain values on one line. Pure.
#pragma once

#include <string>
#include <string_view>

namespace nsa::cli {

// `json` must be valid JSON; ends without a newline.
std::string pretty_json(std::string_view json);

}  // namespace nsa::cli
