#include "support/failpoint_names.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>

namespace nsa::test {

namespace fs = std::filesystem;

std::vector<std::string> failpoints_in(const fs::path& folder) {
    constexpr std::string_view kCall = "failpoint(\"";
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
        if (entry.path().extension() != ".cpp") continue;
        std::ostringstream text;
        text << std::ifstream(entry.path()).rdbuf();
        const std::string code = text.str();
        for (std::size_t at = code.find(kCall); at != std::string::npos; at = code.find(kCall, at + 1)) {
            const std::size_t begin = at + kCall.size();
            names.push_back(code.substr(begin, code.find('"', begin) - begin));
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace nsa::test
