#include "daemon/run_ids.hpp"

namespace nsa::daemon {

RunId make_run_id(std::int64_t wall_ms, std::uint32_t random) {
    constexpr char kDigits[] = "0123456789abcdefghjkmnpqrstvwxyz";  // Crockford's: no i, l, o, u
    constexpr int kLength = 13, kBits = 5, kRandomBits = 24;
    constexpr std::uint64_t kRandomMask = (std::uint64_t{1} << kRandomBits) - 1;
    std::uint64_t number = static_cast<std::uint64_t>(wall_ms) << kRandomBits | (random & kRandomMask);
    std::string text(kLength, '0');
    for (int place = kLength - 1; place >= 0; --place, number >>= kBits)
        text[place] = kDigits[number & 31U];
    return RunId{"r-" + text};
}

}  // namespace nsa::daemon
