// JSON text to value with exact numbers. Boost.JSON before 1.83 may miss a double by one unit in the last
// place; a measurement must survive its trip, so numbers are converted by the standard library here.
#pragma once

#include <boost/json/fwd.hpp>
#include <string_view>

#include "language/result.hpp"

namespace nsa::language {

// At most 32 levels deep. The error says what and at which byte.
Result<boost::json::value> parse_json(std::string_view text);

}  // namespace nsa::language
