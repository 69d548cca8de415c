#include "language/ids.hpp"

#include <algorithm>

namespace nsa {

namespace {

constexpr std::size_t kLongest = 64;

bool is_lower_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

template <class Pred>
bool is_name(const std::string& text, Pred may_follow) {
    return !text.empty() && text.size() <= kLongest && is_lower_or_digit(text.front()) &&
           std::all_of(text.begin(), text.end(), may_follow);
}

}  // namespace

bool is_valid_run_id(const RunId& id) {
    return is_name(id.value, [](char c) { return c == '-' || is_lower_or_digit(c); });
}

bool is_valid_instance_name(const InstanceName& name) {
    return is_name(name.value, [](char c) {
        return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
    });
}

}  // namespace nsa
