#include "engines/plain_path.hpp"

#include <algorithm>

namespace nsa::engines {

bool is_plain_path(std::string_view path, PathRoot root) {
    constexpr std::size_t kLongest = 4000;  // PATH_MAX, less what we append
    const bool rooted =
        path.starts_with('/') || (root == PathRoot::kAbsoluteOrHome && path.starts_with("~/"));
    if (!rooted || path.size() > kLongest || path.find("..") != std::string_view::npos) return false;
    return std::all_of(path.begin() + 1, path.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
               c == '_' || c == '-' || c == '+' || c == '/';
    });
}

bool is_plain_path_list(std::string_view list) {
    while (!list.empty()) {
        const std::size_t end = std::min(list.find(':'), list.size());
        if (!is_plain_path(list.substr(0, end), PathRoot::kAbsolute)) return false;
        if (end + 1 == list.size()) return false;  // a colon at the end
        list.remove_prefix(std::min(end + 1, list.size()));
    }
    return true;
}

}  // namespace nsa::engines
