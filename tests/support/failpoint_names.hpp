// The failpoints that sources have, to hold a table of them against.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace nsa::test {

// Every name that a failpoint has in the .cpp files below `folder`, once for each place, sorted.
std::vector<std::string> failpoints_in(const std::filesystem::path& folder);

}  // namespace nsa::test
