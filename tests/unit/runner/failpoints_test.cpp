// The table of failpoints is what the sources have: the laboratory must not miss a state edge.
#include "worker_lab/failpoints.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace nsa::worker_lab {
namespace {

namespace fs = std::filesystem;

// Every name that a failpoint has in the sources below `folder`, once for each place.
std::vector<std::string> names_in(const fs::path& folder) {
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

TEST(WorkerFailpoints, TheTableNamesEachPlaceOfTheSourcesOnce) {
    const std::vector<std::string> table(std::begin(kFailpoints), std::end(kFailpoints));
    EXPECT_EQ(table, names_in(NSA_WORKER_SOURCES));
    EXPECT_EQ(std::adjacent_find(table.begin(), table.end()), table.end()) << "a name stands twice";
}

TEST(WorkerFailpoints, EveryNameSaysThatItIsTheWorkers) {
    for (const std::string_view name : kFailpoints)
        EXPECT_EQ(name.substr(0, 7), "worker.") << name;
}

}  // namespace
}  // namespace nsa::worker_lab
