#include "runner/globs.hpp"

#include <fnmatch.h>

#include <string>

namespace nsa::runner {
namespace {

struct Split {
    std::string_view head, rest;
    bool last = false;
};

Split split(std::string_view path) {
    const std::size_t slash = path.find('/');
    if (slash == std::string_view::npos) return {path, {}, true};
    return {path.substr(0, slash), path.substr(slash + 1), false};
}

// `depth` bounds the work of a pattern with many "**".
bool matches(std::string_view pattern, std::string_view path, int depth) {
    const Split wanted = split(pattern), found = split(path);
    if (wanted.head == "**" && depth > 0) {
        if (wanted.last) return true;
        if (matches(wanted.rest, path, depth - 1)) return true;
        return !found.last && matches(pattern, found.rest, depth);
    }
    const bool here =
        ::fnmatch(std::string{wanted.head}.c_str(), std::string{found.head}.c_str(), FNM_PERIOD) == 0;
    if (!here || wanted.last != found.last) return false;
    return wanted.last || matches(wanted.rest, found.rest, depth);
}

}  // namespace

bool glob_matches(std::string_view pattern, std::string_view path) {
    constexpr int kMostDoubleStars = 3;
    return matches(pattern, path, kMostDoubleStars);
}

}  // namespace nsa::runner
