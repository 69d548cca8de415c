// Scalars by the language's plain rules: `012` and `1_000` are texts, `yes` and `no` are texts, numbers are
// decimal. Private to yaml/.
#pragma once

#include <chrono>
#include <optional>

#include "language/spec.hpp"
#include "language/yaml/node.hpp"

namespace nsa::language::yaml {

// bool, integer, number or text, as written. Quoted: always text.
Scalar typed(const Node& scalar);

// 90s, 15m, 4h, 2d, 500ms: a whole number and a unit.
std::optional<Duration> duration_in(std::string_view text);

// An existing day as YYYY-MM-DD.
bool is_date(std::string_view text);

// A finite number, also as "5%".
std::optional<double> number_in(std::string_view text);

}  // namespace nsa::language::yaml
