// Run ids: "r-" and 13 characters of lowercase base32: 41 bits of time, then 24 of chance. Sorted by
// creation.
#pragma once

#include <cstdint>

#include "language/ids.hpp"

namespace nsa::daemon {

RunId make_run_id(std::int64_t wall_ms, std::uint32_t random);

}  // namespace nsa::daemon
