#include "language/utc_time.hpp"

#include <ctime>

namespace nsa::language {

namespace {

std::string formatted(std::int64_t ms, const char* format) {
    const auto seconds = static_cast<std::time_t>(ms / 1000);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[64] = {};
    const std::size_t size = std::strftime(text, sizeof text, format, &parts);
    return {text, size};
}

}  // namespace

std::string utc_date(std::int64_t ms) {
    return formatted(ms, "%Y-%m-%d");
}

std::string utc_clock(std::int64_t ms) {
    return formatted(ms, "%H:%M:%S");
}

std::string utc_time(std::int64_t ms) {
    return formatted(ms, "%Y-%m-%d %H:%M:%S UTC");
}

}  // namespace nsa::language
