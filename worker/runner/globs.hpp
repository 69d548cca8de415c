// Globs of artifacts, matched component by component against paths in a step's folder. Pure.
#pragma once

#include <string_view>

namespace nsa::runner {

// fnmatch(3) within each component (a leading '.' must be matched by a '.'); "**" stands for any number of
// components, none included: "*.csv", "plots/*.png", "**/*.json".
bool glob_matches(std::string_view pattern, std::string_view path);

}  // namespace nsa::runner
