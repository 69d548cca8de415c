// Moments as people read them. `ms`: since the epoch. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace nsa::language {

std::string utc_date(std::int64_t ms);   // "2026-11-23"
std::string utc_clock(std::int64_t ms);  // "14:02:11"
std::string utc_time(std::int64_t ms);   // "2026-11-23 14:02:11 UTC"

}  // namespace nsa::language
