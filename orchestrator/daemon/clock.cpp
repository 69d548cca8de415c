#include "daemon/clock.hpp"

#include <ctime>

namespace nsa::daemon {

std::int64_t wall_ms() {
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count();
}

std::string iso_date(std::int64_t wall) {
    const std::time_t seconds = wall / 1000;
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    char text[16] = {};
    const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%d", &utc);
    return {text, size};
}

}  // namespace nsa::daemon
