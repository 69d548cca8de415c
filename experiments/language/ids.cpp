#include "language/ids.hpp"

#include <algorithm>

namespace nsa {

bool is_valid_run_id(const RunId& id) {
    constexpr std::size_t kLongest = 64;
    const auto is_alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    const std::string& text = id.value;
    return !text.empty() && text.size() <= kLongest && is_alphanumeric(text.front()) &&
           std::all_of(text.begin(), text.end(), [&](char c) { return c == '-' || is_alphanumeric(c); });
}

}  // namespace nsa
